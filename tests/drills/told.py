"""What verify and claude-doctor say of a lab host, and whether it is what they should say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.drills import looks
from tests.drills.breaks import FIX, SAME, Break
from tests.drills.deployment import Site
from tests.drills.drill import Drill, must_fail
from tests.drills.record import PROJECT
from tests.drills.stage import HOST
from tests.lab.machine import wait_until

drill = Drill(
    "break_and_tell",
    "what is broken is named by its cause, and cured",
    "At least 40 ways to break a converged lab host: verify and doctor name that cause and no other, `--fix` cures it "
    "where it promises to, and verify is green again. A healthy host: no finding, in at most 5 s for one host, 15 s "
    "for ten.",
)

SETTLE_SECONDS = 100  # for what heals by itself once its cause is gone: a gateway that starts, a pause that ends


def verify(site: Site, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run `signalbox verify --json` and return its exit status and the one host's report."""
    status, (report,) = reports(site, *arguments)
    return status, report


def reports(site: Site, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("signalbox")), "verify", str(site.inventory()), "--json", *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.strip(), f"verify printed nothing and ended with {done.returncode}: {done.stderr[-2000:]}"
    return done.returncode, json.loads(done.stdout)["hosts"]


def doctor(user: str, *arguments: str, host: str = HOST) -> tuple[int, dict[str, Any]]:
    """Run `claude-doctor --json` on the host and return its exit status and its answer."""
    command = f"claude-doctor --json {' '.join(arguments)}; echo status $?"
    told, _, status = looks.answer(command, host=host, user=user).rpartition("status ")
    return int(status), json.loads(told)


def well(report: dict[str, Any]) -> None:
    """AssertionError unless this report of verify has no finding."""
    assert (report["verdict"], report["findings"], report["problem"]) == ("ok", [], ""), seen(report)


def well_again(site: Site) -> None:
    """AssertionError unless verify finds nothing once what was cured has settled."""
    last = ""

    def settled() -> bool:
        nonlocal last
        status, report = verify(site)
        last = f"{status}: {seen(report)}"
        return status == 0

    assert wait_until(settled, SETTLE_SECONDS, 1), f"not well after the cure: {last}"


def named(site: Site, one: Break, host: str = HOST) -> str:
    """AssertionError unless verify, root's doctor and, where it can, the service user's name this cause alone.

    Returns the control: that such a report does not count as well.
    """
    asked = [("verify", one.symptom, *verify(site)), ("root", one.symptom, *doctor("root", host=host))]
    promised = {each["fixable"] for each in asked[1][3]["findings"]}
    assert promised == {one.cure == FIX}, f"--fix promises a cure: {promised}, the cure is {one.cure}"
    if one.agent is not None:
        asked.append(("claude", one.symptom if one.agent is SAME else one.agent, *doctor("claude", host=host)))
    for who, symptom, status, report in asked:
        assert symptoms(report) == ({symptom} if symptom else set()), f"{who} names {seen(report)}"
        assert not problems(report), f"{who} could not look: {problems(report)}"
        levels = {each["level"] for each in report["findings"]}
        wanted = 1 if "failure" in levels else 2 if levels else 0
        assert status == wanted, f"{who}: exit status {status} with {seen(report)}"
    return must_fail(lambda: well(asked[0][3]), "the host broken")


def symptoms(report: dict[str, Any]) -> set[str]:
    return {each["symptom"] for each in report["findings"]}


def problems(report: dict[str, Any]) -> list[str]:
    problems = [report.get("problem"), *(each["problem"] for each in report["checks"] if isinstance(each, dict))]
    return list(filter(None, problems))


def seen(report: dict[str, Any]) -> str:
    told = [f"{each['symptom']} ({each['seen']})" for each in report["findings"]]
    return "; ".join([*told, *problems(report)]) or "nothing"

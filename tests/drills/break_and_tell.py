"""Break a converged host: verify and claude-doctor name that cause and no other, and the cure cures it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import requests

from tests.drills import looks
from tests.drills.breaks import BREAKS, DEPLOY, FIX, SAME, Break
from tests.drills.deployment import Running, Site
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.record import PROJECT
from tests.drills.stage import HOST, Stage, lab_host
from tests.lab import hosts, services
from tests.lab.instance import Lab
from tests.lab.machine import wait_until

drill = Drill(
    "break_and_tell",
    "what is broken is named by its cause, and cured",
    "At least 40 ways to break a converged lab host: verify and doctor name that cause and no other, `--fix` cures it "
    "where it promises to, and verify is green again. A healthy host: no finding, in at most 5 s for one host, 15 s "
    "for ten.",
)

# Hosts that the cell before left well: what a look at the end saw need not be looked at again.
_WELL: set[str] = set()
LOOKS = 5
TEN = [HOST, *(lab_host(f"t{number}") for number in range(1, 10))]
SETTLE_SECONDS = 100  # for what heals by itself once its cause is gone: a gateway that starts, a pause that ends


def verify(site: Site, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run `signalbox verify --json` and return its exit status and the one host's report."""
    status, (report,) = _reports(site, *arguments)
    return status, report


def _reports(site: Site, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
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
    assert (report["verdict"], report["findings"], report["problem"]) == ("ok", [], ""), _seen(report)


def well_again(site: Site) -> None:
    """AssertionError unless verify finds nothing once what was cured has settled."""
    last = ""

    def settled() -> bool:
        nonlocal last
        status, report = verify(site)
        last = f"{status}: {_seen(report)}"
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
        assert _symptoms(report) == ({symptom} if symptom else set()), f"{who} names {_seen(report)}"
        assert not _problems(report), f"{who} could not look: {_problems(report)}"
        levels = {each["level"] for each in report["findings"]}
        wanted = 1 if "failure" in levels else 2 if levels else 0
        assert status == wanted, f"{who}: exit status {status} with {_seen(report)}"
    return must_fail(lambda: well(asked[0][3]), "the host broken")


def _symptoms(report: dict[str, Any]) -> set[str]:
    return {each["symptom"] for each in report["findings"]}


def _problems(report: dict[str, Any]) -> list[str]:
    problems = [report.get("problem"), *(each["problem"] for each in report["checks"] if isinstance(each, dict))]
    return list(filter(None, problems))


def _seen(report: dict[str, Any]) -> str:
    told = [f"{each['symptom']} ({each['seen']})" for each in report["findings"]]
    return "; ".join([*told, *_problems(report)]) or "nothing"


def _break(stage: Stage, one: Break, host: str = HOST) -> None:
    if one.do:
        cloud = urlsplit(services.lab_settings()["clouds"]["anthropic"]["url"])
        looks.answer(one.do.replace("{cloud_port}", str(cloud.port)).replace("{cloud}", str(cloud.hostname)),
                     host=host, user="root")  # fmt: skip
    told = dict(one.simulate)
    if "fault" in told:
        stage.simulators.fault("lmstudio", told.pop("fault"), **told)
    elif "load" in told:
        url = services.lab_settings()["backends"]["lmstudio"]["url"]
        verb = "load" if "model" in told["load"] else "unload"
        requests.post(f"{url}/api/v1/models/{verb}", json=told["load"], timeout=10).raise_for_status()
    elif told:
        stage.simulators.options("lmstudio", **told)


def _cure(stage: Stage, site: Site, one: Break, host: str = HOST) -> str:
    if one.simulate:
        stage.simulators.clear()
        return "the server was put right"
    if one.cure == DEPLOY:
        started = time.monotonic()
        site.deploy().ok()
        return f"deploy, {time.monotonic() - started:.1f} s"
    if one.cure == FIX:
        _, answer = doctor("root", "--fix", host=host)
        assert answer["fixed"], "claude-doctor --fix did nothing"
        return f"claude-doctor --fix: {answer['fixed'][0]['done']}"
    looks.answer(one.cure, host=host, user="root")
    return "by hand"


def told(stage: Stage, site: Site, one: Break, host: str = HOST) -> Figures:
    """Break the host, have it named, cure it, and have it well again."""
    if host not in _WELL:
        well_again(site)
    _WELL.discard(host)
    try:
        _break(stage, one, host)
        control = named(site, one, host)
    except BaseException:
        _cure(stage, site, one, host)
        raise
    cured = _cure(stage, site, one, host)
    well_again(site)
    _WELL.add(host)
    return {"named": one.symptom, "cured": cured, "control": control}


def _cell(one: Break) -> Callable[[Stage], Figures]:
    def body(stage: Stage) -> Figures:
        return told(stage, stage.converged(), one)

    body.__doc__ = f"{one.title[0].upper()}{one.title[1:]}."
    return body


@drill.cell("healthy")
def healthy(stage: Stage) -> Figures:
    """A healthy host: no finding, in at most 5 s, and nothing is written there or asked of a cloud."""
    site = stage.converged()
    well_again(site)
    stage.simulators.clear()
    looks.mark()
    status, report = verify(site)
    well(report)
    # The gateway notes the requests to the local model, as it notes every one.
    written = [path for path in looks.written() if not path.startswith("/var/lib/signalbox/audit")]
    assert not written, f"verify left {written}"
    assert not looks.chats(stage, "anthropic"), "a cloud was asked for an answer"
    assert looks.chats(stage, "lmstudio"), "no local model was asked"
    seconds = min(_timed(site) for _ in range(LOOKS))
    assert seconds < 5, f"{seconds:.1f} s, load {_load()}"
    status, answer = doctor("claude")
    assert (status, answer["findings"]) == (0, []), _seen(answer)
    return {
        "checks": len(report["checks"]),
        f"the whole command, best of {LOOKS}": f"{seconds:.1f} s",
        "load average": _load(),
    }


@drill.cell("ten-hosts")
def ten_hosts(stage: Stage) -> Figures:
    """Ten healthy hosts: no finding, in at most 15 s."""
    stage.converged()
    copies = TEN[1:]
    if not all(map(hosts.exists, copies)):
        stage.discard(*copies)
        hosts.poweroff(HOST)
        hosts.clone(HOST, copies)
        stage.up(*TEN)
        stage.site(*TEN).deploy().ok()  # each copy is a host of its own: its keys are encrypted anew
    stage.up(*TEN)
    site = stage.site(*TEN)

    def all_well() -> None:
        reports = _reports(site)[1]
        assert len(reports) == len(TEN), [each["host"] for each in reports]
        for report in reports:
            well(report)

    last = ""

    def settled() -> bool:
        nonlocal last
        last = "; ".join(f"{each['host']}: {_seen(each)}" for each in _reports(site)[1] if each["verdict"] != "ok")
        return not last

    assert wait_until(settled, 2 * SETTLE_SECONDS, 1), last
    took = []
    for _ in range(LOOKS):
        started = time.monotonic()
        all_well()
        took.append(time.monotonic() - started)
    assert min(took) < 15, f"{took} s, load {_load()}"
    figures = {"hosts": len(TEN), f"the whole command, best of {LOOKS}": f"{min(took):.1f} s", "load average": _load()}
    stage.discard(*copies)
    return figures


def _timed(site: Site) -> float:
    """Return how many seconds of wall clock `signalbox verify` takes as a person waits for it; it must find nothing."""
    started = time.monotonic()
    _, report = verify(site)
    seconds = time.monotonic() - started
    well(report)
    return seconds


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


@drill.cell("billed")
def billed(stage: Stage) -> Figures:
    """--billed sends one short request to each cloud lane; without it no cloud is asked, whatever fails."""
    site = stage.converged()
    well_again(site)
    stage.simulators.clear()
    status, _ = verify(site, "--billed")
    asked = len(looks.chats(stage, "anthropic"))
    assert (status, asked) == (0, 2), f"ended with {status} after {asked} requests"  # the lanes routed and cloud
    stage.simulators.clear()
    stage.simulators.fault("lmstudio", "500", path="/v1/*")
    verify(site)
    leaked = len(looks.chats(stage, "anthropic"))
    stage.simulators.clear()
    assert leaked == 0, f"{leaked} requests went to the cloud"
    return {"requests with --billed": asked, "without, local server failing": leaked}


@drill.cell("billed-refused")
def billed_refused(stage: Stage) -> Figures:
    """--billed names a key that the provider refuses, and an account at its limit."""
    site = stage.converged()
    well_again(site)
    seen = {}
    for fault, symptom in (("401", "provider-refuses-key"), ("429", "rate-limit")):
        stage.simulators.fault("anthropic", fault)
        status, report = verify(site, "--billed")
        stage.simulators.clear()
        assert (status, _symptoms(report)) == (1, {symptom}), f"with {fault} verify names {_seen(report)}"
        seen[f"with {fault}"] = symptom
    well_again(site)
    return seen


@drill.cell("su")
def su(stage: Stage) -> Figures:
    """A shell that was reached with su, not by a login, is told by the user's own claude-doctor."""
    stage.converged()
    called = "runuser -u claude -- env -u XDG_RUNTIME_DIR claude-doctor --json; echo status $?"
    told, _, status = looks.answer(called, user="root").rpartition("status ")
    answer = json.loads(told)
    assert (int(status), _symptoms(answer)) == (2, {"su-shell"}), _seen(answer)
    status, answer = doctor("claude")
    assert (status, answer["findings"]) == (0, []), _seen(answer)
    return {"named": "su-shell", "by a login": "nothing"}


@drill.cell("timer")
def timer(stage: Stage) -> Figures:
    """The user's timer looks by itself and tells the journal of changes alone: what is new, once, and what is over."""
    site = stage.converged()
    well_again(site)
    units = "systemctl --user --machine=claude@.host"
    waits = looks.answer(f"{units} show -p NextElapseUSecMonotonic --value claude-doctor.timer", user="root")
    assert waits not in ("", "infinity"), "the timer has no next time"

    def told() -> list[str]:
        """Return what one look of the unit, as the timer starts it, adds to the user's journal."""
        cursor = "journalctl --sync && journalctl -n0 --show-cursor | sed -n 's/^-- cursor: //p' > /run/drill-cursor"
        looks.answer(f"{cursor} && {units} start claude-doctor.service && journalctl --sync", user="root")
        lines = 'journalctl --after-cursor="$(cat /run/drill-cursor)" _SYSTEMD_USER_UNIT=claude-doctor.service -o cat'
        return [line for line in looks.answer(lines, user="root").splitlines() if not line.startswith("-- ")]

    told()  # whatever an earlier look has kept is over
    quiet = told()
    looks.answer("chmod 755 ~")
    new, same = told(), told()
    looks.answer("chmod 700 ~")
    over, after = told(), told()
    assert (quiet, same, after) == ([], [], []), (quiet, same, after)
    assert [line.partition(":")[0] for line in new] == ["home-open"], new
    assert [line.partition(": ")[2].partition(":")[0] for line in over] == ["home-open"], over
    assert over[0].startswith("over: "), over
    return {"new": new[0], "over": over[0], "told again": 0}


@drill.cell("failover")
def failover(stage: Stage) -> Figures:
    """--drill blocks the real way to the local server, sees the cloud answer, and gives the way back."""
    site = stage.converged()
    well_again(site)
    stage.simulators.clear()
    status, report = verify(site, "--drill", "30")
    assert status == 0, _seen(report)
    assert len(looks.chats(stage, "anthropic")) == 1
    assert _drills() == "", _drills()
    stage.simulators.fault("anthropic", "500")
    status, broken = verify(site, "--drill", "30")
    stage.simulators.clear()
    assert _symptoms(broken) == {"failover"}, _seen(broken)
    well_again(site)
    # Not drilled, and told so.
    looks.answer("chmod 755 ~")
    _, untold = verify(site, "--drill", "30")
    looks.answer("chmod 700 ~")
    assert (untold["drills"], bool(untold["undrilled"])) == ([], True), untold
    return {
        "seen": "; ".join(report["drills"]),
        "not well": untold["undrilled"],
        "control": "fails with the cloud failing",
    }


def _drills() -> str:
    """Return what drills have left on the host: a table of the packet filter, timers."""
    return looks.answer(
        "nft list tables | grep signalbox_drill; systemctl list-units --no-legend 'signalbox-drill-*'; true",
        user="root",
    )


@drill.cell("failover-killed")
def failover_killed(stage: Stage) -> Figures:
    """A drill that is killed in its midst: the timer lifts the block, and the local server answers again."""
    site = stage.converged()
    well_again(site)
    seconds = 15
    stage.simulators.fault("anthropic", "hang")  # the fallback's answer takes long: the drill waits for it
    running = subprocess.Popen(
        [str(Path(sys.executable).with_name("signalbox")), "verify", str(site.inventory()), "--drill", str(seconds)],
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    blocked = "nft list table inet signalbox_drill | grep -c reject"
    try:
        assert wait_until(lambda: looks.answer(f"{blocked} 2>/dev/null || true", user="root") not in ("", "0"), 60, 0.2)
        started = time.monotonic()
        # The timer's name holds the id of the program that set it.
        looks.answer(
            "kill -9 $(systemctl list-units --no-legend 'signalbox-drill-*.timer' | grep -o '[0-9]*' | head -n1)",
            user="root",
        )
        running.wait(60)
        looks.answer(blocked, user="root")  # still there although the program is gone
        control = must_fail(
            lambda: looks.answer("nft list tables | { ! grep -q signalbox_drill; }", user="root"), "the block"
        )
        assert wait_until(lambda: _drills() == "", seconds + 5, 0.5), _drills()
        lifted = time.monotonic() - started
    finally:
        running.kill()
        running.wait()
        stage.simulators.clear()
    well_again(site)
    return {"the timer is set to": f"{seconds} s", "lifted after the kill": f"{lifted:.0f} s", "control": control}


@drill.cell("api-lane")
def api_lane(stage: Stage) -> Figures:
    """--billed asks the lane that goes to the API itself, too, with its own key; a key that is refused is named."""
    stage.converged()
    site = stage.site(settings={"lanes": {"api": {"enabled": True}}})
    site.deploy().ok()
    try:
        well_again(site)
        stage.simulators.clear()
        status, report = verify(site, "--billed")
        asked = looks.chats(stage, "anthropic")
        assert status == 0, _seen(report)
        assert len(asked) == 3, f"{len(asked)} requests"  # the lanes routed and cloud through the gateway, and api
        looks.answer(
            "umask 077; printf sk-wrong | systemd-creds --user encrypt --name=ANTHROPIC_DIRECT_KEY -"
            " ~/.config/signalbox/ANTHROPIC_DIRECT_KEY.cred"
        )
        _, broken = verify(site, "--billed")
        assert _symptoms(broken) == {"provider-refuses-key"}, _seen(broken)
        assert all("the lane api" in each["seen"] for each in broken["findings"]), _seen(broken)
    finally:
        stage.converged().deploy().ok()
    well_again(stage.converged())
    return {"requests with --billed": len(asked), "a wrong key": "provider-refuses-key"}


@drill.cell("hostile-home")
def hostile_home(stage: Stage) -> Figures:
    """The agent leads its own directory into the system: root's --fix gives nothing away, and reads nothing forever."""
    site = stage.converged()
    well_again(site)
    looks.answer(
        "mv ~/.claude ~/.claude-kept; ln -s /etc ~/.claude; mv ~/.bashrc ~/.bashrc-kept; mkfifo ~/.bashrc; true"
    )
    try:
        started = time.monotonic()
        _, answer = doctor("root", "--fix")
        seconds = time.monotonic() - started
        seen = _seen(answer)
        _nothing_given()
        assert seconds < 60, f"{seconds:.0f} s"
    finally:
        looks.answer("rm -f ~/.claude ~/.bashrc; mv ~/.claude-kept ~/.claude; mv ~/.bashrc-kept ~/.bashrc; true")
    looks.answer("touch /etc/drill && chown claude: /etc/drill", user="root")
    control = must_fail(_nothing_given, "a file of /etc given away")
    looks.answer("rm /etc/drill", user="root")
    well_again(site)
    return {"root's --fix": f"{seconds:.0f} s", "named": seen[:200], "control": control}


def _nothing_given() -> None:
    given = looks.answer("find /etc /usr/local -xdev \\( -user claude -o -user litellm \\) -print", user="root")
    assert given == "", given


@drill.cell("outputs")
def outputs(stage: Stage) -> Figures:
    """`pyinfra INVENTORY verify.py`, the table and JUnit XML say the same as JSON, of a sound host and a broken one."""
    site = stage.converged()
    well_again(site)
    results = {}
    for name, command in (("sound", "chmod 700 ~"), ("broken", "chmod 755 ~")):
        looks.answer(command)
        ended = Running(site.inventory(), ["--dry"], {}, "verify.py").wait()
        table = site.signalbox("verify")
        file = Lab.current().state / f"verify-{name}.xml"
        site.signalbox("verify", "--junit", str(file))
        suite = ElementTree.parse(file).getroot().find("testsuite")  # noqa: S314 (our own)
        assert suite is not None
        results[name] = (ended.status, table.status, "home-open" in table.stdout, suite.get("failures"))
    looks.answer("chmod 700 ~")
    well_again(site)
    assert results == {"sound": (0, 0, False, "0"), "broken": (1, 1, True, "1")}, results
    return {"pyinfra's exit status, sound and broken": "0 and 1", "table": "names it", "JUnit": "1 failure"}


for _name, _one in BREAKS.items():
    drill.cell(_name, fixed=_name == "api-key")(_cell(_one))

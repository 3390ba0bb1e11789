"""`signalbox plan` on real hosts: its exit status can be trusted, whatever happens to the host or the way to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from tests.drills import looks
from tests.drills.deployment import PROJECT, Site
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage, lab_host
from tests.lab import hosts, services

drill = Drill(
    "plan",
    "a plan that never lies",
    "`signalbox plan` ends with 0 only for hosts that were reached, examined to the end and are as wanted, with 2 for "
    "drift and 1 for all else; it names exactly what drifted, and what settings no longer ask for.",
)

OFF = lab_host("lie")
SOLO = {
    "models": dict.fromkeys(("main", "opus", "sonnet", "haiku", "fable"), "local"),
    "config_dir": "~/.claude-solo",
    "billed": "nobody",
}


def _plan(site: Site, *arguments: str, **environment: str) -> tuple[int, dict[str, Any]]:
    run = site.signalbox("plan", "--json", *arguments, **environment)
    return run.status, json.loads(run.stdout)


def _named(site: Site) -> list[str]:
    """Plan; the host must have drifted, and all of it must be certain. Returns the operations."""
    status, report = _plan(site)
    assert (status, report["verdict"]) == (2, "drift"), (status, report["verdict"], report)
    (host,) = report["hosts"]
    assert {change["certainty"] for change in host["changes"]} == {"will"}, host["changes"]
    return [change["operation"] for change in host["changes"]]


def _clean(site: Site) -> None:
    status, report = _plan(site)
    assert (status, report["verdict"]) == (0, "clean"), (status, report)


@drill.cell("verdicts", fixed=True)
def verdicts(stage: Stage) -> Figures:
    """Clean is 0 and names no change; drift is 2 and names exactly what pyinfra's own --dry names."""
    site = stage.converged()
    quiet = site.signalbox("plan")
    assert quiet.status == 0, quiet
    assert "change" not in quiet.stdout, quiet  # it may warn, such as of a small context
    looks.answer("chmod 666 /etc/signalbox/lanes.json", user="root")
    named = _named(site)
    assert named == ["the lanes are known"], named
    assert [name.split(" | ")[1] for name in site.plan().ok().planned(HOST)] == named
    control = must_fail(lambda: _clean(site), "a file's mode changed")
    looks.answer("chmod 644 /etc/signalbox/lanes.json", user="root")
    return {"clean": f"0 in {quiet.seconds:.1f} s", "drift": "; ".join(named), "control": control}


@drill.cell("no-longer-asked-for")
def no_longer_asked_for(stage: Stage) -> Figures:
    """A launcher, a package and a file of earlier settings are named, then gone; what was replaced is back."""
    stage.converged()
    looks.answer("printf 'mine\\n' > /usr/local/bin/claude-solo", user="root")
    packages = ["git", "ripgrep", "jq", "tmux", "unzip", "htop"]
    stage.site(settings={"lanes": {"solo": SOLO}, "base": {"packages": packages}}).deploy().ok()
    looks.answer("test -L /usr/local/bin/claude-solo && command -v htop", user="root")
    site = stage.site()
    named = _named(site)
    assert named == ["the lanes are known", "nothing is left of what earlier settings asked for"], named
    site.deploy().ok()
    gone = 'test "$(cat /usr/local/bin/claude-solo)" = mine && ! command -v htop && ! dpkg -s htop'
    looks.answer(gone, user="root")
    _clean(site)
    looks.answer("rm /usr/local/bin/claude-solo", user="root")
    return {"named": "; ".join(named), "after the deploy": "gone, and the person's own file is back"}


LIES: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    # name: what is done to the host (as root), data of the host, arguments
    "ssh-refused": ("systemctl stop ssh.socket ssh.service", {}, ()),
    "key-refused": ("true", {"ssh_user": "nobody"}, ()),
    "not-root": ("true", {"ssh_user": "plain"}, ()),
    "sudo-refused": ("true", {"ssh_user": "plain", "connection": {"sudo": True}}, ()),
    "host-key-changed": ("true", {"connection": {"host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUXzz09ulwiSQWk1LKe2FQJ5hdR36lhvQ1S3sEwT0dd"}}, ()),  # noqa: E501
    "limit-typo": ("true", {}, ("--limit", HOST[:-1] + "x")),
}  # fmt: skip


@drill.cell("lies")
def lies(stage: Stage) -> Figures:
    """Off, ssh refused, key refused, not root, sudo refused, another host key, --limit typo, lost half-way: never 0."""
    stage.bare(OFF)
    looks.answer("useradd -m plain && install -d -m 700 -o plain ~plain/.ssh"
                 " && install -m 600 -o plain ~/.ssh/authorized_keys ~plain/.ssh/", host=OFF, user="root")  # fmt: skip
    site = stage.site(OFF)
    figures = {}

    def told(status: int, report: Mapping[str, Any]) -> str:
        assert status == 1, (status, report)
        assert report["verdict"] == "unknown"
        problems = [*report["problems"], *(text for host in report["hosts"] for text in host["problems"])]
        assert problems, report
        return str(problems[0])[:100]

    control = must_fail(lambda: told(*_plan(site)), "nothing")
    for name, (damage, data, arguments) in LIES.items():
        subprocess.run(hosts.inside(OFF, "sh", "-c", damage), check=True, capture_output=True)
        figures[name] = told(*_plan(stage.site(OFF, of_host={OFF: data}), *arguments))
        subprocess.run(hosts.inside(OFF, "systemctl", "start", "ssh.service"), check=False, capture_output=True)
    figures["lost half-way"] = told(*_lost(site))
    hosts.poweroff(OFF)
    figures["off"] = told(*_plan(site))
    stage.discard(OFF)
    return {**figures, "control": control}


def _lost(site: Site) -> tuple[int, dict[str, Any]]:
    """Plan, and pull the host's plug once the plan's session is there."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from signalbox.cli import main; main()", "plan", str(site.inventory()), "--json"],
        cwd=PROJECT, env=_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    # The first command that the plan has the host run, seen without a session of our own.
    seen = hosts.inside(OFF, "sh", "-c", "until pgrep -f os-release >/dev/null || pgrep -f 'sshd-session: root@notty'"
                        " >/dev/null; do sleep 0.02; done")  # fmt: skip
    subprocess.run(seen, check=True, timeout=60, capture_output=True)
    hosts.poweroff(OFF, hard=True)
    started = time.monotonic()
    stdout, _ = process.communicate(timeout=180)
    hosts.up([OFF])
    assert time.monotonic() - started < 170
    return process.returncode, json.loads(stdout)


def _environment() -> dict[str, str]:
    return {**os.environ, **services.environment()}

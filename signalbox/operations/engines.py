"""A user's own rootless Docker: what runs in it is named before it stops, and begun again."""

from __future__ import annotations

import re

from pyinfra import host
from pyinfra.api import operation

from signalbox.engine.changes import differs, want
from signalbox.facts import Placed, Unit, UserCommand, UserUnits
from signalbox.facts.units import USER
from signalbox.operations.commands import Commands
from signalbox.operations.placed import manifest_now
from signalbox.shell import manifest, sh
from signalbox.shell.manifest import Entry

DOCKER = "docker.service"
_OURS = '{{if .Label "signalbox"}} ours{{end}}'  # its unit begins it
# Shell before Docker stops, and after it runs again. One that was only there as long as it ran is gone by then.
NOTED = sh("ran=$(timeout 20 docker ps --no-trunc --format {} | awk 'NF == 1')", "{{.ID}}" + _OURS)
BEGUN = sh(
    "for c in $ran; do ! docker container inspect $c >/dev/null 2>&1 || docker start $c >/dev/null || status=1; done"
)


def containers(account: str, home: str) -> list[str]:
    """Return which containers run in a user's Docker, ours aside; none where it does not run."""
    told = host.get_fact(UserCommand, user=account, home=home, script=sh("docker ps --format {}", "{{.Names}}" + _OURS))
    return sorted(name for name in told if re.fullmatch(r"[\w.-]+", name, re.ASCII))


@operation()
def engine_known(account: str, home: str) -> Commands:
    """Know what runs in a Docker of the user's own before ours takes its place, so that remove.py begins it again."""
    known = f"{account}:{DOCKER}"
    want("stopped", known)
    unit = host.get_fact(Placed, path=f"{home}/.config/systemd/user/{DOCKER}", kind="file")
    states = host.get_fact(UserUnits, user=account, home=home, units=USER)
    there = unit.type is not None and unit.entry is None and states.get(DOCKER, Unit()).active
    if not there or manifest_now().entry("stopped", known):
        host.noop(f"{account} has no Docker that is not known")
        return
    running = containers(account, home)
    differs(f"{DOCKER} of {account}, as remove.py begins it again", None, ", ".join(running) or "without containers")
    yield manifest.record(Entry("stopped", known, " ".join(running)))

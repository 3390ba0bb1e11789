"""Runs killed at ten moments on a host that people use, and what is left of Signalbox after all that."""

from __future__ import annotations

import re

from tests.drills import looks
from tests.drills.a_life import GIVEN_UP, LIVED, life, lived, same, served, typed, within
from tests.drills.drift import MOVING
from tests.drills.drill import Figures, must_fail
from tests.drills.inspection import Inspection, inspect
from tests.drills.interrupted import Moment, kill
from tests.drills.remove import LEFT
from tests.drills.stage import Stage
from tests.lab import hosts

# The gateway is another user's, and holds nothing of a person's.
WITHOUT_GATEWAY = {name: {"enabled": False} for name in ("gateway", "secrets", "launchers", "doctor")}
SETTINGS = {**GIVEN_UP, **WITHOUT_GATEWAY}
ENTRIES = "$(ls /var/lib/signalbox/manifest 2>/dev/null | wc -l)"
UP = (2, 10, 25, 45, 60)  # entries of the manifest that a deploy has come to
DOWN = (0.9, 0.6, 0.3)  # parts of them that remove.py has come to
AS_DPKG_RUNS = Moment("pgrep -x dpkg >/dev/null", "true")
# What a user's programs keep for themselves, and where somebody looked.
OWN = re.compile(
    r"file /home/claude/\.(cache|local|npm|config/systemd)(/.*)?|file /root(/.*)?|file /run/.*"
    r"|file /var/lib/(apt|dpkg|ucf|systemd|signalbox|docker|containerd|postgresql|samba|chrony)(/.*)?|file /srv/beat"
    r"|file /etc/ssl/certs/[0-9a-f]{8}\.\d|unit ldconfig\.service"
)


def as_before(before: Inspection, told: str) -> int:
    """AssertionError unless the host is as it was, or what differs was named. Returns how many things were compared."""
    allowed = [MOVING, OWN, *map(re.compile, LEFT.values())]
    found = [
        each
        for each in inspect(LIVED).since(before)
        if not any(rule.fullmatch(f"{each.kind} {each.name}") for rule in allowed) and each.name not in told
    ]
    assert not found, f"{len(found)} other than before, and not named:\n" + "\n".join(map(str, found[:100]))
    return sum(map(len, before.things.values()))


def killed(stage: Stage) -> Figures:
    """Killed at ten moments, deploys and removals lose nothing of a person's; after the last all is as it was."""
    before, during = lived(stage), within()
    snapshot = inspect(LIVED)
    site = stage.site(LIVED, settings=SETTINGS)
    seconds = []
    for number in UP:
        seconds.append(kill(site.start, Moment(f"[ {ENTRIES} -ge {number} ]", "true"), LIVED))
        same(during, within())
    site.deploy().ok()
    same(during, within())
    control = must_fail(lambda: as_before(snapshot, ""), "Signalbox on it")
    there = int(looks.answer(f"echo {ENTRIES}", host=LIVED, user="root"))
    going = [Moment(f"[ {ENTRIES} -le {int(there * part)} ]", "true") for part in DOWN]
    for moment in (*going, AS_DPKG_RUNS):
        seconds.append(kill(site.removing, moment, LIVED))
        same(during, within())
    hosts.poweroff(LIVED, hard=True)  # while dpkg is at work
    hosts.up([LIVED])
    typed()
    same(during, within())
    gone = site.remove().ok()
    same(before, life())
    served(roots=True)
    compared = as_before(snapshot, gone.stderr)
    again = site.remove().ok().changed(LIVED)
    assert not again, again
    stage.discard(LIVED)
    return {"killed after": ", ".join(f"{each:.0f} s" for each in seconds), "then": "its power was cut",
            "as before": ", ".join(before), "things compared": compared, "control": control}  # fmt: skip

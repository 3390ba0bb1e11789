"""All that makes a host what it is, read at once, so that two hosts can be compared thing by thing."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.drills.stage import HOST
from tests.lab import hosts

_SCRIPT = Path(__file__).with_name("inspect_host.py")
SECONDS = 240


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same. kind: file, package, user, …; was, now: None where it is not there."""

    kind: str
    name: str
    was: str | None
    now: str | None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.was or 'nothing'} → {self.now or 'nothing'}"


@dataclass(frozen=True)
class Inspection:
    """What a host is, by kind of thing and name. packaged: which package a file is of."""

    things: dict[str, dict[str, str]]
    packaged: dict[str, str] = field(default_factory=dict)

    def since(self, before: Inspection) -> list[Difference]:
        """Return what is other than it was, by kind and name."""
        found = []
        for kind, now in self.things.items():
            was = before.things.get(kind, {})
            for name in sorted({*was, *now}):
                if was.get(name) != now.get(name):
                    found.append(Difference(kind, name, was.get(name), now.get(name)))
        return found

    def of(self, kind: str) -> dict[str, str]:
        """Return the things of one kind."""
        return self.things.get(kind, {})


def inspect(host: str = HOST) -> Inspection:
    """Look at the host, without Signalbox: files with type, mode, owner and content, packages, users, units, rules."""
    return _inspection(hosts.run(host, "python3 -I -", stdin=_SCRIPT.read_text(), timeout=SECONDS).stdout)


def inspect_inside(host: str) -> Inspection:
    """Look at the host by way of its namespaces: also at one that lets nobody in, and without a login of one's own."""
    command = hosts.inside(host, "python3", "-I", "-")
    done = subprocess.run(
        command, input=_SCRIPT.read_text(), capture_output=True, text=True, timeout=SECONDS, check=True
    )
    return _inspection(done.stdout)


def _inspection(told: str) -> Inspection:
    things = json.loads(told)
    return Inspection(packaged=things.pop("owned"), things=things)

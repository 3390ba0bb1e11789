"""Launchers: one command a lane, the same program behind all, for the service user alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pyinfra import host
from pyinfra.api import deploy

from signalbox import launcher
from signalbox.facts import Manifest
from signalbox.operations import absent, directories, file, link
from signalbox.settings.sections import Launchers

PROGRAM = "/usr/local/lib/signalbox/launch"
RECORDS = "/etc/signalbox/lanes.json"


@deploy("Launchers")
def launchers(settings: Launchers, records: dict[str, Any]) -> None:
    """Place the program, the `records` that it reads, and a command claude-<lane> for each lane in them."""
    if not settings.enabled:
        return
    directories(name="launchers have their directories", paths=["/usr/local/lib/signalbox", "/etc/signalbox"])
    program = Path(launcher.__file__).with_name("launch.py").read_text()
    file(name="the launcher is in place", path=PROGRAM, content=program, mode="755")
    file(name="the lanes are known", path=RECORDS, content=json.dumps(records, indent=2, sort_keys=True) + "\n")
    commands = [f"/usr/local/bin/claude-{name}" for name in records["lanes"]]
    for command in commands:
        link(name=f"{command.rsplit('/', 1)[1]} starts its lane", path=command, target=PROGRAM)
    ours = [entry.id for entry in host.get_fact(Manifest) if entry.kind == "link"]
    for path in sorted(path for path in ours if path.startswith("/usr/local/bin/claude-") and path not in commands):
        absent(name=f"{path.rsplit('/', 1)[1]}, of a lane that is no more, is gone", path=path, kind="link")

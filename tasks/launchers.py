"""Launchers: one command a lane, the same program behind all, for the service user alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pyinfra import host
from pyinfra.api import deploy

from signalbox import launcher
from signalbox.facts import Manifest
from signalbox.lanes import PROGRAM
from signalbox.operations import absent, directories, file, link
from signalbox.settings.sections import Launchers

BASE = "/usr/local/lib/signalbox"
RECORDS = "/etc/signalbox/lanes.json"


@deploy("Launchers")
def launchers(settings: Launchers, records: dict[str, Any]) -> None:
    """Place the programs, the `records` that they read, and a command claude-<lane> for each lane in them."""
    if not settings.enabled:
        return
    directories(name="launchers have their directories", paths=[BASE, PROGRAM.rsplit("/", 1)[0], "/etc/signalbox"])
    for module in sorted(Path(launcher.__file__).parent.glob("*.py")):
        mode = "755" if PROGRAM.endswith(f"/{module.name}") else "644"
        path = f"{BASE}/launcher/{module.name}"
        file(name=f"the launchers' {module.name} is in place", path=path, content=module.read_text(), mode=mode)
    file(name="the lanes are known", path=RECORDS, content=json.dumps(records, indent=2, sort_keys=True) + "\n")
    commands = [f"/usr/local/bin/claude-{name}" for name in records["lanes"]]
    for command in commands:
        link(name=f"{command.rsplit('/', 1)[1]} starts its lane", path=command, target=PROGRAM)
    ours = [entry.id for entry in host.get_fact(Manifest) if entry.kind == "link"]
    for path in sorted(path for path in ours if path.startswith("/usr/local/bin/claude-") and path not in commands):
        absent(name=f"{path.rsplit('/', 1)[1]}, of a lane that is no more, is gone", path=path, kind="link")

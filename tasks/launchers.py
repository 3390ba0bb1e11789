"""Launchers: one command a lane, the same program behind all, for the service user alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pyinfra.api import deploy

from signalbox import launcher
from signalbox.lanes import PROGRAM
from signalbox.operations import directories, file, link
from signalbox.render import render
from signalbox.settings.sections import Launchers

BASE = "/usr/local/lib/signalbox"
COMPLETIONS = "/usr/local/share/zsh/site-functions"  # where Debian's zsh looks
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
    commands = [f"claude-{name}" for name in records["lanes"]]
    texts = {
        f"{BASE}/shell.sh": render("launchers/shell.sh", program=PROGRAM, commands=" ".join(commands)),
        "/usr/local/bin/claude-switch": render(
            "launchers/claude-switch", program=PROGRAM, functions=f"{BASE}/shell.sh"
        ),
        f"{COMPLETIONS}/_claude-switch": render("launchers/_claude-switch", program=PROGRAM),
    }
    directories(name="zsh's completions have their directory", paths=["/usr/local/share/zsh", COMPLETIONS])
    for path, text in texts.items():
        mode = "755" if path.startswith("/usr/local/bin/") else "644"
        file(name=f"{path.rsplit('/', 1)[1]} is in place", path=path, content=text, mode=mode)
    for command in commands:
        link(name=f"{command} starts its lane", path=f"/usr/local/bin/{command}", target=PROGRAM)

"""Which command was called, by its name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

from . import lane, speak


def main() -> NoReturn:
    """Run the command that the program's name tells: a lane's, or one that is named in COMMANDS."""
    name, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    if name == "launch.py":
        if not arguments:
            speak.fail(speak.EX_USAGE, "which command? claude-switch help lists them")
        name, arguments = f"claude-{arguments[0]}", arguments[1:]
    speak.program = name
    lane.main(name.removeprefix("claude-"), arguments)

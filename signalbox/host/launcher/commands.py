"""Which command was called, by its name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from ..shared import output
from . import (
    completion,
    dispatch,
    headless,
    helps,
    lane,
    logs,
    room,
    session_process,
    sessions,
    statusline,
    stopped,
    switch,
    usage,
)
from .backends_env import with_lanes
from .keys import key_of
from .records import lane_named, read_records, require_user


def main() -> NoReturn:
    """Run the command that the program's name tells: a lane's, or one that is named in COMMANDS."""
    name, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    if name == "launch.py":
        if not arguments:
            output.fail(output.EX_USAGE, "which command? claude-switch help lists them")
        name, arguments = f"claude-{arguments[0]}", arguments[1:]
    output.program = name
    name = name.removeprefix("claude-")
    if name in COMMANDS:
        COMMANDS[name](arguments)
    if arguments in (["--help"], ["-h"]):
        helps.lane(name, arguments)
    lane.main(name, arguments)


def _key(arguments: Sequence[str]) -> NoReturn:
    """Print a lane's key, for an apiKeyHelper."""
    records = read_records()
    require_user(records["user"])
    if len(arguments) != 1:
        output.fail(output.EX_USAGE, "key LANE")
    lane = lane_named(with_lanes(records, arguments[0]), arguments[0])
    if lane["key_variable"] is None:
        output.fail(output.EX_USAGE, f"{arguments[0]} has no key, but a login of its own")
    output.hand_over(key_of(lane) or "none")
    sys.exit(0)


COMMANDS: dict[str, Callable[[Sequence[str]], NoReturn]] = {
    "complete": completion.main,
    "dispatch": dispatch.dispatch,
    "escalate": dispatch.escalate,
    "key": _key,
    "logs": logs.main,
    "room": room.main,
    "session": sessions.main,
    "session-run": session_process.run,
    "statusline": statusline.main,
    "stopped": stopped.main,
    "switch": switch.main,
    "task-check": headless.check,
    "task-run": headless.run,
    "usage": usage.main,
}

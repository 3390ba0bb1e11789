"""What each command says of itself: its --help, its manual page, one line of it in completions."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from ..shared.output import tell
from . import dispatch, logs, sessions, switch, usage
from .backends_env import with_lanes
from .lane import become
from .records import Lane, lane_named, read_records, require_user

# Each command in one line, and whole.
TEXTS = {
    "claude-switch": ("changes which lane this shell's claude is in", switch.HELP),
    "claude-session": ("a session in a lane that outlives the connection, stops and reboots", sessions.USAGE),
    "claude-logs": ("the gateway's routing as it happens, in plain words", logs.USAGE),
    "claude-usage": ("tokens and cost by day, lane and backend", usage.USAGE),
    "claude-escalate": ("one question to the cloud, with no tools and no files", dispatch.ESCALATE),
    "claude-dispatch": ("tasks for the local lane, side by side", dispatch.DISPATCH),
}


def of_lane(name: str, lanes: Mapping[str, Lane]) -> tuple[str, str]:
    """Return a lane's command in one line, and whole."""
    lane, private = lanes[name], f"{name}-private"
    lines = [
        f"claude-{name} [what claude takes]   Claude Code in the lane {name}",
        "",
        f"It goes to {lane['goes_to']}.",
        f"It bills {lane['billed']}.",
        "",
    ]
    if private in lanes:
        lines += [
            f"claude-{name} --private   the lane {private}: {lanes[private]['goes_to']}, no gateway, no cloud",
        ]
    lines += [
        f"claude-{name} -p 'question'   one answer, without a terminal",
        f"claude-{name} --continue   on with the last conversation of this directory; --resume chooses one",
        f"claude-session NAME --lane {name}   a session that outlives the connection",
        f"claude-switch {name}   this shell's claude goes there",
        f"claude-switch continue {name}   on there with a conversation of another lane",
    ]
    return f"Claude Code in the lane {name}", "\n".join(lines)


def of_all(lanes: Mapping[str, Lane]) -> dict[str, tuple[str, str]]:
    """Return every command, in one line and whole."""
    return {**{f"claude-{name}": of_lane(name, lanes) for name in lanes}, **TEXTS}


def lane(name: str, arguments: Sequence[str]) -> NoReturn:
    """Say what a lane's command is, then what Claude Code says of itself."""
    records: dict[str, Any] = with_lanes(read_records(), name)
    lane_named(records, name)
    tell(*of_lane(name, records["lanes"])[1].splitlines(), "", "What follows is Claude Code's own help.", "")
    sys.stdout.flush()
    require_user(records["user"])
    become(records["claude"], list(arguments), dict(os.environ))

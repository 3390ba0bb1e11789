"""The status line of a session: lane, model asked for, who really answered last, context used.

Claude Code runs it with JSON on stdin (https://code.claude.com/docs/en/statusline) and shows its first line.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from . import audit, within
from .records import read_records
from .speak import DIM, GREEN, RED, YELLOW, tell_coloured

Piece = tuple[str, str]  # a colour, "" for none, and what has it
SESSION = 1 << 20  # characters of what Claude Code tells of its session
HIGH = 80  # percent of the context: Claude Code will compact soon


def main(_: Sequence[str]) -> NoReturn:
    """Print the line."""
    try:
        session = within.json_of(sys.stdin.read(SESSION))
    except ValueError:
        session = None
    tell_coloured(*pieces(_object(session), read_records(), os.environ.get("SIGNALBOX_LANE", "")))
    sys.exit(0)


def pieces(session: Mapping[str, Any], records: Mapping[str, Any], name: str) -> list[Piece]:
    """Return the status line of a session in the lane `name`."""
    lane = records["lanes"].get(name)
    model, window = (_object(session.get(each)) for each in ("model", "context_window"))
    parts = [(GREEN, name or "no lane"), ("", _asked(model))]
    if lane and lane["via"] == "gateway":
        entry = audit.last_of(Path(records["audit"]), str(session.get("session_id")))
        if entry is not None:
            parts.append(_answered(entry))
    elif lane:
        parts.append((DIM, f"straight to {lane['goes_to']}"))
    used = window.get("used_percentage")
    if isinstance(used, int | float) and 0 <= used < 1e6:
        parts.append((YELLOW if used >= HIGH else "", f"context {used:.0f} %"))
    return [piece for part in parts for piece in (("", " | "), part)][1:]


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _asked(model: Mapping[str, Any]) -> str:
    """Return the model's name; one from the gateway's list may have an id that LiteLLM made of it."""
    made = str(model.get("id")).startswith("claude-router-")
    return str(model.get("display_name" if made else "id") or "?")


def _answered(entry: Mapping[str, Any]) -> Piece:
    who = audit.answered_by(entry)
    if audit.failed_over(entry):
        return RED, f"{entry['fallback']} failed ({entry.get('error_class') or 'error'}): {who} answered"
    return RED if audit.unanswered(entry) else "", f"{who} answered"

"""The status line of a session: lane, model asked for, who really answered last, context used.

Claude Code runs it with JSON on stdin (https://code.claude.com/docs/en/statusline) and shows its first line.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from . import audit
from .records import read_records

PLAIN, DIM, GREEN, YELLOW, RED = "\x1b[0m", "\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[1;31m"
HIGH = 80  # percent of the context: Claude Code will compact soon


def main(_: Sequence[str]) -> NoReturn:
    """Print the line."""
    try:
        session = json.load(sys.stdin)
    except ValueError:
        session = {}
    print(line(session, read_records(), os.environ.get("SIGNALBOX_LANE", "")))
    sys.exit(0)


def line(session: Mapping[str, Any], records: Mapping[str, Any], name: str) -> str:
    """Return the status line of a session in the lane `name`, in colour."""
    lane = records["lanes"].get(name)
    parts = [f"{GREEN}{name or 'no lane'}{PLAIN}", _asked(session.get("model") or {})]
    if lane and lane["via"] == "gateway":
        entry = audit.last_of(Path(records["audit"]), str(session.get("session_id")))
        if entry is not None:
            parts.append(_answered(entry))
    elif lane:
        parts.append(f"{DIM}straight to {lane['goes_to']}{PLAIN}")
    used = (session.get("context_window") or {}).get("used_percentage")
    if isinstance(used, int | float):
        parts.append(f"{YELLOW if used >= HIGH else ''}context {used:.0f} %{PLAIN}")
    return " | ".join(parts)


def _asked(model: Mapping[str, Any]) -> str:
    """Return the model's name; one from the gateway's list may have an id that LiteLLM made of it."""
    made = str(model.get("id")).startswith("claude-router-")
    return str(model.get("display_name" if made else "id") or "?")


def _answered(entry: Mapping[str, Any]) -> str:
    who = audit.answered_by(entry)
    if audit.failed_over(entry):
        return f"{RED}{entry['fallback']} failed ({entry.get('error_class') or 'error'}): {who} answered{PLAIN}"
    return f"{RED}{who} answered{PLAIN}" if audit.unanswered(entry) else f"{who} answered"

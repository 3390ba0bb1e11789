"""The status line of a session: lane, who answered last and who pays for it, the next step where one is due, context.

Claude Code runs it with JSON on stdin (https://code.claude.com/docs/en/statusline) and shows its first line. The answer
is the one to the session's own model: titles and other background work are asked of another.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from ..shared import audit, budgets, within
from ..shared.model_names import LISTED
from ..shared.output import DIM, GREEN, RED, YELLOW, tell_coloured
from . import probes
from .records import read_records

Record = Mapping[str, Any]
SESSION = 1 << 20  # characters of what Claude Code tells of its session
TAIL = 256 << 10  # bytes of a conversation in which its last answer is looked for
HIGH = 80  # percent of the context: Claude Code will compact soon
MARGIN = 4  # columns that Claude Code keeps beside the line
USED_UP = ("quota", "rate_limit", "overloaded")  # what another lane need not wait for
LANE, ANSWER, STEP, BUDGET, CONTEXT = range(5)
# What gives way, and in which order, where the terminal is narrow: never the lane, and never who pays.
GIVES_WAY = (BUDGET, CONTEXT, ANSWER, STEP, ANSWER, CONTEXT, BUDGET, ANSWER, STEP, ANSWER)


@dataclass(frozen=True)
class Part:
    """A part of the line: its colour ("" for none), and what it says, from the longest form to the shortest."""

    colour: str
    forms: tuple[str, ...]


def main(_: Sequence[str]) -> NoReturn:
    """Print the line."""
    session = within.object_of_stdin(SESSION)
    columns = os.environ.get("COLUMNS", "")  # the terminal's, by Claude Code's word
    width = int(columns) - MARGIN if columns.isascii() and columns.isdigit() else None
    tell_coloured(*pieces(_object(session), read_records(), os.environ.get("SIGNALBOX_LANE", ""), width))
    sys.exit(0)


def pieces(session: Record, records: Record, name: str, width: int | None = None) -> list[tuple[str, str]]:
    """Return the status line of a session in the lane `name`, in a terminal with room for `width` characters."""
    lane = records["lanes"].get(name)
    answer, step = _answer(session, records, name) if lane else (Part("", ()), ())
    if lane and lane.get("slots") and not step and (tokens := probes.tokens_read(lane, _key(lane))):
        step = f"reads the prompt: {tokens} tokens so far", f"{tokens} tokens read"
    parts = [
        Part(GREEN, (name or "no lane",)),
        answer,
        Part(YELLOW, (*step, "") if step else ()),
        _budget(records, name) if lane and lane["via"] == "gateway" else Part("", ()),
        _context(_object(session.get("context_window")).get("used_percentage")),
    ]
    told = [(part.colour, text) for part, text in zip(parts, _fitted(parts, width), strict=True) if text]
    return [piece for each in told for piece in (("", " | "), each)][1:]


def _key(lane: Record) -> str | None:
    """Return the key that Claude Code has for the lane's own server; None through the gateway, whose key it is not."""
    return os.environ.get(str(lane.get("key_variable"))) if lane["via"] == "direct" else None


def _fitted(parts: Sequence[Part], width: int | None) -> list[str]:
    """Return the longest forms with which the line has room."""
    forms = [list(part.forms) or [""] for part in parts]
    for at in GIVES_WAY:
        if width is None or len(" | ".join(first for first, *_ in forms if first)) <= width:
            break
        if len(forms[at]) > 1:
            del forms[at][0]
    return [first for first, *_ in forms]


def _budget(records: Record, name: str) -> Part:
    found = budgets.of_lane(Path(records["audit"]), name)
    if found is None:
        return Part("", ())
    colour = RED if not found.left else YELLOW if found.nearly else ""
    return Part(
        colour, (f"{found.left:.2f} of {found.usd:g} USD left this {found.per}", f"{found.left:.2f} USD left", "")
    )


def _context(used: Any) -> Part:
    if not isinstance(used, int | float) or not 0 <= used < 1e6:
        return Part("", ())
    return Part(YELLOW if used >= HIGH else "", (f"context {used:.0f} %", f"{used:.0f} %", ""))


def _object(value: Any) -> Record:
    return value if isinstance(value, dict) else {}


def _answer(session: Record, records: Record, name: str) -> tuple[Part, tuple[str, ...]]:
    """Return who answered last and who pays, and what to do next where somebody failed."""
    lane = records["lanes"][name]
    asked = _asked(_object(session.get("model")))
    entry = None
    if lane["via"] == "gateway":  # no other is written down
        entry = audit.last_of(Path(records["audit"]), str(session.get("session_id")), asked)
    why = _refusal(str(session.get("transcript_path") or ""), entry)
    if entry is not None and audit.unanswered(entry):
        why = str(entry.get("error_class") or entry.get("status"))
    if why:
        return Part(RED, (f"NOBODY answered ({why})", "NOBODY answered")), _steps(why, records, name)
    if entry is None:
        return _by_the_lane(lane, asked), ()
    free = audit.free_as(entry)
    pays = free or f"{entry['backend']} bills"
    who = f"{entry.get('model')} at {entry['backend']} answered" if free else f"{entry.get('model')} answered"
    if audit.failed_over(entry):
        failed = f"{entry['fallback']} failed"
        why = entry.get("error_class") or "error"
        forms = f"{pays}: {who}, {failed} ({why})", f"{pays}: {failed} ({why})", f"{pays}: {failed}", pays
        return Part(RED, forms), ("claude-doctor says why", "claude-doctor")
    return Part("", (f"{pays}: {who}", f"{pays}: {entry['backend' if free else 'model']}", pays)), ()


def _by_the_lane(lane: Record, asked: str) -> Part:
    """Return who pays by the lane's own word: nothing was asked yet, or it goes past the gateway."""
    billed = str(lane["billed"])
    first = billed.partition(";")[0]
    if billed.startswith("nobody"):
        forms: tuple[str, ...] = (f"bills {billed}", f"free: {asked}", "free")
    else:
        forms = (f"bills {billed}", f"bills {first}", f"bills {first.partition(' of ')[0]}", "billed")
    if lane["via"] != "gateway":
        return Part(DIM, (f"straight to {lane['goes_to']}, {forms[0]}", *forms))
    return Part("", (f"not asked yet: {asked}, {forms[0]}", *forms))


def _refusal(path: str, entry: audit.Entry | None) -> str:
    """Return why the session's last request failed, as Claude Code has it in the conversation; "": it did not.

    entry: what the gateway wrote down last, which is newer where the request was repeated since.
    """
    try:
        lines = within.last_lines_of(path, TAIL) if path else []
    except OSError:
        return ""
    for line in reversed(lines):
        try:
            told = _object(within.json_of(line))
        except ValueError:
            continue
        if told.get("type") != "assistant" or told.get("isSidechain"):
            continue
        if not told.get("isApiErrorMessage") or (entry is not None and not _after(told.get("timestamp"), entry)):
            return ""
        return str(told.get("apiErrorStatus") or told.get("error") or "error")[:40]
    return ""


def _after(timestamp: Any, entry: audit.Entry) -> bool:
    try:
        return datetime.fromisoformat(str(timestamp)) >= datetime.fromisoformat(entry["time"])
    except (TypeError, ValueError):
        return False


def _steps(why: str, records: Record, name: str) -> tuple[str, ...]:
    """Return what to do where nobody answered, the longest form first."""
    if why == "overflow":
        return ("/compact",)
    other = _another(records, name)
    if why in (*USED_UP, "429", "529") and other:
        return f"wait, or /exit and claude-switch continue {other}", f"claude-switch continue {other}"
    return "claude-doctor says why", "claude-doctor"


def _another(records: Record, name: str) -> str | None:
    """Return a lane to go on in when this one's limits are used up: its main model is one's own."""
    lanes = records["lanes"]
    own = [each for each, lane in lanes.items() if lane.get("readings") and not lane["private"] and each != name]
    return own[0] if own and not lanes[name]["private"] else None


def _asked(model: Record) -> str:
    """Return the model's name as it is asked for; of one in the gateway's list LiteLLM may have made the id."""
    ident = str(model.get("id") or "?")
    made = ident.startswith(LISTED)
    return str(model.get("display_name") if made else ident).removesuffix("[1m]")

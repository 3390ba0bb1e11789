"""What Claude Code runs where a turn ends (its hook Stop, and SubagentStop): whether the answer is one.

A server that does not know its model's template prints tool calls as text; to Claude Code that is an answer, and a task
ends well that was never done. The model is told once, and may call the tool itself. If that is none either a person
reads it, and a -p run ends with EX_PROTOCOL: by a mark that is there from the first such answer on, until one is good.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from ..shared import within
from ..shared.no_answer import is_none
from ..shared.output import tell_json

RUN = "SIGNALBOX_RUN"  # the -p run's own name, by which its mark is found
MARKS = Path(".local/state/signalbox/undone")  # below the home
TOLD = 4 << 20  # characters of what Claude Code tells of the turn
# Of Claude Code 2.1.329; models also write them in small letters. An MCP server's tools are told by their prefix.
TOOLS = (
    "Agent", "AskUserQuestion", "Bash", "Edit", "ExitPlanMode", "Glob", "Grep", "ListAgents", "Monitor",
    "NotebookEdit", "Read", "SendMessage", "Skill", "Task", "TaskCreate", "TaskStop", "TodoWrite", "ToolSearch",
    "WebFetch", "WebSearch", "Workflow", "Write",
)  # fmt: skip
MCP = re.compile(r"mcp__[\w-]{1,120}")
AGAIN = (
    "Nothing was done: that answer was empty, or a tool call printed as text, which nobody runs. Call the tool itself; "
    "where there is nothing left to call, answer in words."
)
WORDS = (
    "the answer is none: nothing, or a tool call or a template's leftovers printed as text, and what it was for is "
    "undone; claude-doctor --explain 'printed as text' has the cures"
)


def main(_: Sequence[str]) -> NoReturn:
    """Judge the turn that ends; what is printed is Claude Code's to read."""
    turn = within.object_of_stdin(TOLD)  # where Claude Code tells something else, nobody is held up by that
    if turn is not None and (said := verdict(turn)):
        tell_json(said)
    sys.exit(0)


def verdict(turn: dict[str, Any]) -> dict[str, Any] | None:
    """Return what Claude Code is told of a turn's end, and have its run marked; None: nothing, the answer is one."""
    words = str(turn.get("last_assistant_message") or "")
    none = is_none(words, (*TOOLS, *(each.lower() for each in TOOLS), *MCP.findall(words)))
    if turn.get("hook_event_name") == "SubagentStop":
        # Of no type are those that Claude Code has of its own, such as the one that sums up.
        again = none and turn.get("agent_type") and not turn.get("stop_hook_active")
        return {"decision": "block", "reason": AGAIN} if again else None
    _mark(os.environ.get(RUN, ""), none)
    if not none:
        return None
    return {"systemMessage": WORDS} if turn.get("stop_hook_active") else {"decision": "block", "reason": AGAIN}


def _mark(run: str, none: bool) -> None:
    if not re.fullmatch("[0-9a-f]{32}", run):
        return
    path = Path.home() / MARKS / run
    with suppress(OSError):
        if none:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
        else:
            path.unlink(missing_ok=True)


def is_undone(run: str) -> bool:
    """Return whether a run that has ended had no answer, and forget it."""
    path = Path.home() / MARKS / run
    if not os.path.lexists(path):
        return False
    with suppress(OSError):
        path.unlink()
    return True

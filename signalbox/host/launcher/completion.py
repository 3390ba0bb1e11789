"""What may follow the words of a command line: for the completions of bash, zsh and fish."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from ..shared import within
from ..shared.output import hand_over
from . import conversation, named, snippets
from .backends_env import with_lanes
from .records import Lane, read_records
from .switch import OFF

Words = Sequence[str]
# Of Claude Code, what people type most.
OF_CLAUDE = [
    "--continue",
    "--resume",
    "--model",
    "--permission-mode",
    "--add-dir",
    "--mcp-config",
    "--verbose",
    "--help",
]
OPTIONS = {
    "claude-logs": ["--lane", "--session", "-n", "--follow", "--no-follow", "--json", "--help"],
    "claude-usage": ["--days", "--json", "--html", "--help"],
    "claude-escalate": ["--timeout", "--budget", "--help"],
    "claude-dispatch": ["--timeout", "--budget", "--parallel", "--json", "--help"],
    "claude-doctor": ["--json", "--fix", "--billed", "--explain", "--help"],
}
MODES = ["default", "acceptEdits", "plan", "auto", "bypassPermissions"]


def main(arguments: Words) -> NoReturn:
    """Print, one a line, what may follow a command and the whole words after it."""
    command, *words = arguments
    hand_over("\n".join(candidates(command, words, with_lanes(read_records())["lanes"])))
    sys.exit(0)


def candidates(command: str, words: Words, lanes: Mapping[str, Lane]) -> list[str]:
    """Return what may follow; nothing where anything may."""
    names = list(lanes)
    last = words[-1] if words else ""
    if last == "--lane" and command in ("claude-session", "claude-logs"):
        return names
    if command == "claude-switch":
        return _of_switch(words, names)
    if command == "claude-session":
        return _of_session(words)
    if command in OPTIONS:
        return [] if last in ("--explain", "--html") else OPTIONS[command]
    lane = command.removeprefix("claude-")
    if lane not in lanes:
        return []
    if last in ("--resume", "-r"):
        return [path.stem for path in within.names_in(conversation.kept_in(lanes[lane]), "*.jsonl")]
    if last == "--permission-mode":
        return MODES
    if last == "--model":
        return sorted({str(model) for model in lanes[lane]["models"].values()})
    private = ["--private"] if not words and f"{lane}-private" in lanes else []
    return [*private, *OF_CLAUDE]


def _of_switch(words: Words, names: list[str]) -> list[str]:
    match list(words):
        case []:
            return [*names, OFF, "status", "list", "help", "start", "continue", "snippet"]
        case ["continue"] | ["snippet", _] | ["continue", *_, "--from"]:
            return names
        case ["continue", _, *_]:
            return ["--from", "--session", "--private-too", "--"]
        case ["snippet"]:
            return list(snippets.KINDS)
        case ["snippet", _, _]:
            return ["--with-key"]
        case ["status"]:
            return ["--json"]
    return []


def _of_session(words: Words) -> list[str]:
    match list(words):
        case []:
            return [*named.names(), "list", "end"]
        case ["end"]:
            return named.names()
        case ["list" | "end", *_]:
            return []
    return ["--lane", "--detached", "--"]

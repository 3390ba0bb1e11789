"""claude-switch: the current shell, changed to a lane and back.

A program cannot change its caller's environment, so the shell function of the same name evaluates what this prints.
What the shell had before is kept in a variable of the shell that no other program sees: it comes as SIGNALBOX_BEFORE.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from ..shared import overrides, within
from ..shared.output import EX_CONFIG, EX_USAGE, ask, fail, hand_over, say, tell
from . import allow, backends_env, conversation, lane, snippets, status
from .backends_env import with_lanes
from .records import Lane, read_records, require_user

HELP = """\
claude-switch LANE            this shell's claude goes to LANE; also: source claude-switch LANE
claude-switch                 choose from a menu
claude-switch off             as it was before: plain claude with its own login
claude-switch status          where claude goes from here, who answers, who pays (--json)
claude-switch list            the lanes of this host, and those of ~/.claude-backends.env
claude-switch start [...]     start Claude Code in this shell's lane, with these arguments (alias: cc)
claude-switch allow [SESSION] let a session be billed in its model's place (lanes with fallbacks = "ask")
claude-switch continue LANE   go on in LANE with the last conversation of this directory (--help says more)
claude-switch snippet KIND LANE   what to write for LANE into settings.json (settings) or VS Code's (vscode)

Each lane has a command of its own too, which changes nothing in the shell: claude-LANE. In a shell that was switched,
`claude` is that command: what could take it elsewhere is looked for each time it starts."""

OFF, LOGIN = "off", "with its own login"
BEFORE = "__signalbox_before"  # a shell's variable: what it had before it was first switched


@dataclass(frozen=True)
class Shell:
    """How a shell's code reads."""

    export: str
    put: str
    unset: str
    quoted: Callable[[str], str]


def _fish_quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


SHELLS = {
    "--shell": Shell("export {}={}", "{}={}", "unset {}", shlex.quote),
    "--shell=fish": Shell("set -gx {} {}", "set -g {} {}", "set -eg {}", _fish_quoted),
}


def main(arguments: Sequence[str]) -> NoReturn:
    """Do what the first word says; with --shell or --shell=fish before it, print code that changes the caller."""
    shell = next((SHELLS[each] for each in arguments[:1] if each in SHELLS), None)
    word, *rest = arguments[shell is not None :] or ["menu"]
    if word in ("help", "-h", "--help"):
        tell(*HELP.splitlines())
        sys.exit(0)
    records = read_records()
    if word == "list":
        for name, each in with_lanes(records)["lanes"].items():
            tell(f"{name:<14} {each['goes_to']:<30} bills {each['billed']}")
        sys.exit(0)
    require_user(records["user"])
    if word == "status":
        sys.exit(status.main(with_lanes(records, os.environ.get("SIGNALBOX_LANE")), rest))
    if word == "start":
        _start(records, rest)
    if word == "allow":
        allow.main(with_lanes(records), rest)
    if word == "continue":
        conversation.main(with_lanes(records), rest)
    if word == "snippet":
        snippets.main(with_lanes(records)["lanes"], rest)
    if shell is None:
        way = "in a new fish, where it is a function:" if _from_fish() else "type: source"
        fail(EX_USAGE, f"only the shell itself can be changed; {way} claude-switch {shlex.join(arguments)}")
    _change(records, word, shell)


def _from_fish() -> bool:
    return within.text_of(f"/proc/{os.getppid()}/comm").strip() == "fish"


def _change(records: dict[str, Any], word: str, shell: Shell) -> NoReturn:
    """Print the shell code that makes the caller's environment that of the lane `word`."""
    before: dict[str, str | None] = json.loads(os.environ.pop("SIGNALBOX_BEFORE", "") or "{}")
    current = dict(os.environ)
    # From here on the environment is the one that the shell had before it was first switched.
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if not before:
        # The child of a shell that was switched, or of a lane's session: what its parent had before, nobody knows here.
        for name in overrides.put_by_lanes(records, os.environ):
            del os.environ[name]
    original = dict(os.environ)
    word = _menu(with_lanes(records)["lanes"]) if word == "menu" else word
    known = records["lanes"] if word == OFF else with_lanes(records, word)["lanes"]
    if word == OFF:
        wanted = original
        diverting = [str(each) for each in overrides.of_plain_claude(records, original) if each.beats]
        say("plain claude again, " + (f"but not with its own login: {'; '.join(diverting)}" if diverting else LOGIN))
    elif word in known:
        wanted = lane.ready(word, known[word], records)
        say(f"claude now goes to {known[word]['goes_to']}; this bills {known[word]['billed']}")
    else:
        there = ", ".join([*with_lanes(records)["lanes"], OFF])
        fail(EX_USAGE, backends_env.missing(word) or f"no lane is called {word!r}; there are {there}")
    hand_over("\n".join(_code(shell, current, original, wanted)))
    sys.exit(0)


def _code(
    shell: Shell, current: Mapping[str, str], original: Mapping[str, str], wanted: Mapping[str, str]
) -> list[str]:
    lines = [shell.unset.format(name) for name in sorted(current.keys() - wanted.keys())]
    lines += [
        shell.export.format(name, shell.quoted(wanted[name]))
        for name in sorted(wanted)
        if wanted[name] != current.get(name)
    ]
    names = original.keys() | wanted.keys()
    before = {name: original.get(name) for name in sorted(names) if original.get(name) != wanted.get(name)}
    kept = shell.put.format(BEFORE, shell.quoted(json.dumps(before))) if before else shell.unset.format(BEFORE)
    return [*lines, kept]


def _menu(known: Mapping[str, Lane]) -> str:
    """Ask on the terminal which lane it shall be."""
    choices = [*known, OFF]
    if not sys.stderr.isatty():
        fail(EX_USAGE, f"there is no terminal for a menu; name a lane: {', '.join(choices)}")
    for number, name in enumerate(choices, start=1):
        words = f"bills {known[name]['billed']}" if name in known else f"plain claude, {LOGIN}"
        ask(f"{number}) {name:<14} {words}\n")
    ask("which? ")
    answer = sys.stdin.readline().strip()
    if answer.isdigit() and 1 <= int(answer) <= len(choices):
        answer = choices[int(answer) - 1]
    if answer not in choices:
        fail(EX_USAGE, "nothing was changed")
    return answer


def _start(records: dict[str, Any], arguments: Sequence[str]) -> NoReturn:
    """Start what this shell was switched to; plain claude where it was not."""
    name = os.environ.get("SIGNALBOX_LANE")
    if name is None:
        lane.become(records["claude"], [*records["flags"], *arguments], dict(os.environ))
    records = with_lanes(records, name)
    if name not in records["lanes"]:
        fail(EX_CONFIG, f"this shell was switched to {name}, which is no lane any more; type: claude-switch {OFF}")
    lane.start(name, records["lanes"][name], records, arguments)

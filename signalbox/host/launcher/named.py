"""What is kept of a named session until it is ended: its lane, directory, arguments and conversation."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..shared import within

STATE = Path(".local/state/signalbox/sessions")  # below the home

# Claude Code 2.1.329's options by what follows them; any other has one value.
CHOOSING = {"-c", "--continue", "-r", "--resume", "--session-id", "--from-pr", "--fork-session"}  # which conversation
ALONE = {"-c", "--continue", "--fork-session", "--verbose", "--ide", "--bare", "--safe-mode", "--restricted", "--brief",
         "--chrome", "--no-chrome", "--strict-mcp-config", "--disable-slash-commands", "--ax-screen-reader",
         "--dangerously-skip-permissions", "--allow-dangerously-skip-permissions"}  # fmt: skip
SEVERAL = {"--allowedTools", "--allowed-tools", "--disallowedTools", "--disallowed-tools", "--tools", "--add-dir",
           "--mcp-config", "--betas", "--file"}  # fmt: skip


class BrokenError(Exception):
    """A record that cannot be used; says which, and why."""


@dataclass(frozen=True)
class Named:
    """A named session as it was opened.

    boot: of the host, when it was last opened. conversation: its id, "" while nobody knows it. begun: something was
    said in it.
    """

    name: str
    lane: str
    directory: str
    arguments: tuple[str, ...]
    boot: str
    conversation: str
    begun: bool = False


def path_of(name: str) -> Path:
    """Return where it is written down."""
    return Path.home() / STATE / f"{name}.json"


def names() -> list[str]:
    """Return the names of all that are written down."""
    return [path.stem for path in within.names_in(Path.home() / STATE, "*.json") if not path.name.startswith(".")]


def read(name: str) -> Named | None:
    """Return what is written down of a session; None: nothing is. Raises BrokenError."""
    path = path_of(name)
    if not os.path.lexists(path):
        return None
    try:
        found: Any = within.json_of(within.text_of(path))
        texts = {key: found[key] for key in ("lane", "directory", "boot", "conversation")}
        arguments, begun = found["arguments"], found.get("begun", False)
        if not all(isinstance(each, str) for each in (*texts.values(), *arguments)) or not isinstance(begun, bool):
            raise ValueError("it is no record of a session")
        if not set(texts["conversation"]) <= set("0123456789abcdef-") or texts["conversation"].startswith("-"):
            raise ValueError("its conversation has no id")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokenError(f"{path} cannot be used ({error})") from None
    return Named(name, **texts, arguments=tuple(arguments), begun=begun)


def write(session: Named) -> None:
    """Write it down, whole or not at all. Raises OSError."""
    path = path_of(session.name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as file:
            json.dump(asdict(session), file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def forget(name: str) -> None:
    """Take the record away."""
    path_of(name).unlink(missing_ok=True)


def chooses(arguments: Sequence[str]) -> bool:
    """Whether arguments say which conversation it is."""
    return any(word.partition("=")[0] in CHOOSING for word in arguments)


def to_go_on(arguments: Sequence[str]) -> list[str]:
    """Return arguments without what chooses a conversation and without a prompt, which has been sent already."""
    kept: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            continue
        option = [word]
        if "=" not in word and word not in ALONE:
            while words and not words[0].startswith("-") and (len(option) == 1 or word in SEVERAL):
                option.append(words.pop(0))
        if word.partition("=")[0] not in CHOOSING:
            kept += option
    return kept

"""A headless task of systemd: a unit claude-task@NAME that runs ~/.config/claude-tasks/NAME.toml."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..shared import within
from ..shared.output import EX_CONFIG, fail
from . import lane as lanes
from .backends_env import with_lanes
from .records import lane_named, read_records

TASKS = Path(".config/claude-tasks")  # below the home


def check(arguments: Sequence[str]) -> NoReturn:
    """End with the reason if a task cannot be run; before the unit has started, so that `systemctl start` fails."""
    (name,) = arguments
    wanted = _task(name)
    lane_named(with_lanes(read_records(), wanted["lane"]), wanted["lane"])
    sys.exit(0)


def run(arguments: Sequence[str]) -> NoReturn:
    """Run a task's prompt without a terminal: -p, in its lane and directory, the prompt over stdin."""
    (name,) = arguments
    wanted = _task(name)
    stdin = os.memfd_create("prompt")  # not argv, which everybody on the host may read
    os.write(stdin, wanted["prompt"].encode())
    os.lseek(stdin, 0, os.SEEK_SET)
    os.dup2(stdin, 0)
    lanes.main(wanted["lane"], ["-p", *wanted["arguments"]])


def _task(name: str) -> dict[str, Any]:
    """Return what the file of a task says, and be in its directory; end with the reason if either cannot be used."""
    path = Path.home() / TASKS / f"{name}.toml"
    try:
        wanted: dict[str, Any] = tomllib.loads(within.bytes_of(path).decode())
    except FileNotFoundError:
        there = ", ".join(each.stem for each in within.names_in(path.parent, "*.toml")) or "none"
        fail(EX_CONFIG, f"there is no task {name}: {path} is not there; tasks of this user: {there}")
    except (OSError, ValueError) as error:
        fail(EX_CONFIG, f"{path} cannot be read ({error}); write lane = …, prompt = …, and directory = … into it")
    wanted = {"directory": "~", "arguments": [], **wanted}
    more: list[Any] = wanted["arguments"] if isinstance(wanted["arguments"], list) else [None]
    words = [*more, *(value for key, value in wanted.items() if key != "arguments")]
    if wanted.keys() != {"lane", "prompt", "directory", "arguments"} or not all(
        isinstance(each, str) for each in words
    ):
        may = 'may have directory, and arguments such as ["--allowedTools", "Read"]'
        fail(EX_CONFIG, f"{path} needs lane and prompt, {may}, and nothing else")
    try:
        os.chdir(os.path.expanduser(wanted["directory"]))
    except OSError as error:
        fail(EX_CONFIG, f"{path}: the directory {wanted['directory']} cannot be used ({error.strerror})")
    return wanted

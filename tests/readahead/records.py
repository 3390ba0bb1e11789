"""Records that no run has left: wrong ones, which are used and do no harm, and broken ones, which are not used."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from signalbox.engine.readahead.record import MAX_BYTES, MAX_ENTRIES

# Commands that stand before the deploy's own. {asked}: one that the deploy asks.
WRONG = {
    "of another deploy": ["hostname", "id", "echo something"],
    "that fails": ["false", "no-such-program", "if ("],
    "that kills its shell": ["kill -9 $PPID"],
    "that never ends": ["sleep 300"],
    "that prints without end": ["yes"],
    "that closes what it prints to": ["exec >&-; sleep 0.1", "kill -9 $PPID; sleep 1"],
    "with the same question twice": ["{asked}"] * 2,
    "with a lying frame": ["printf '\\n%s 1 0\\n' 00000000000000000000000000000000"],
    "longer than a packet": ["echo " + "x" * 15_000] * 20,
}


def _content(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return write


def _entry(**values: object) -> Callable[[Path], object]:
    return _content(lambda content: content["questions"][0].update(values))


def _linked(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir(0o700)


def _directory_is_a_link(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))
    path.parent.symlink_to(path.parent.with_name("elsewhere"))


# What is done to a good record; `chown` takes root.
BROKEN: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_text(""),
    "garbage": lambda path: path.write_bytes(os.urandom(300)),
    "cut off": lambda path: path.write_text(path.read_text()[:-20]),
    "not an object": lambda path: path.write_text("[]"),
    "another version": _content(lambda content: content.update(version=2)),
    "a version as text": _content(lambda content: content.update(version="1")),
    "another host's": _content(lambda content: content.update(host="box2")),
    "another deploy's": _content(lambda content: content.update(deploy="/other/deploy.py")),
    "a key more": _content(lambda content: content.update(results=[])),
    "a key less": _content(lambda content: content.pop("questions")),
    "a command that is none": _entry(command=["rm", "-rf"]),
    "an empty command": _entry(command=""),
    "a command with NUL": _entry(command="id\0"),
    "a command too long": _entry(command="x" * 20_000),
    "sudo as text": _entry(sudo="no"),
    "a user that is an option": _entry(sudo_user="-s"),
    "a user that is code": _entry(sudo_user="root; reboot"),
    "a user with a line break": _entry(sudo_user="root\n"),
    "an entry with a key more": _entry(password="x"),  # noqa: S106
    "too many entries": _content(lambda content: content.update(questions=content["questions"] * MAX_ENTRIES)),
    "too large": lambda path: path.write_text(path.read_text() + " " * MAX_BYTES),
    "readable by the group": lambda path: path.chmod(0o640),
    "writable by all": lambda path: path.chmod(0o602),
    "a link": _linked,
    "a second name of a file": lambda path: path.with_suffix(".second").hardlink_to(path),
    "a pipe": _fifo,
    "a directory": _directory,
    "in a directory that others write": lambda path: path.parent.chmod(0o770),
    "in a directory that is a link": _directory_is_a_link,
    "another user's": lambda path: os.chown(path, 12345, -1),
    "in another user's directory": lambda path: os.chown(path.parent, 12345, -1),
}

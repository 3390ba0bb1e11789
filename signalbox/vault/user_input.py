"""Secrets that people enter: one value, or a file's in an editor, in memory-backed storage where there is one."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from signalbox.console import asked, confirmed, note
from signalbox.fields.secrets import secret_name
from signalbox.secrets.file_formats import assignments
from signalbox.secrets.secret import Secret, SecretError

_HEAD = "# NAME=value, one a line; a line that you take out removes the secret. Save and close to encrypt.\n"


def value_of(name: str) -> Secret:
    """A secret's new value, from a question, or from stdin where that is no terminal; a line end is not part of it.

    Raises:
        SecretError: none was given, or one that no deploy would take.
    """
    if sys.stdin.isatty():
        try:
            text = asked(f"Value of {name}", hidden=True)
        except click.Abort:
            raise SecretError("no value was given; nothing was written") from None
    else:
        text = piped().removesuffix("\n").removesuffix("\r")
    checked({name: Secret(text)})
    return Secret(text)


def piped() -> str:
    """All of stdin.

    Raises:
        SecretError: it is no text.
    """
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise SecretError("what stdin holds is no UTF-8 text; nothing was written") from None


def checked(found: Mapping[str, Secret]) -> None:
    """Refuse what a deploy would refuse.

    Raises:
        SecretError: with every name or value that is wrong; no value is repeated.
    """
    wrong = []
    for name, value in found.items():
        try:
            secret_name(name)
        except ValueError as error:
            wrong.append(f"{name if len(name) <= 40 else 'a name'}: {error}")
        if problem := value.problem():
            wrong.append(f"{name}: the value {problem}")
    if wrong:
        raise SecretError(
            "\n  ".join(["nothing was written", *wrong]) if len(wrong) > 1 else f"{wrong[0]}; nothing was written"
        )


def edited(secrets: Mapping[str, Secret]) -> dict[str, Secret]:
    """What a person makes of these secrets; on a terminal what is wrong may be edited again.

    Raises:
        SecretError: no editor, the editor failed, or what was written is no NAME=value lines that a deploy takes.
    """
    words = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
    if not words:
        fallback = shutil.which("nano") or shutil.which("vi")
        if fallback is None:
            raise SecretError("there is no editor; export EDITOR, or use `signalbox secrets set`")
        words = [fallback]
    # A directory of its own: editors put swap and backup files beside what they edit.
    with _ended_in_order(), tempfile.TemporaryDirectory(prefix="signalbox-", dir=_memory()) as directory:
        file = Path(directory) / "secrets.env"
        file.touch(mode=0o600)
        lines = [f"{name}={shlex.quote(value.reveal())}\n" for name, value in secrets.items()]
        file.write_text(_HEAD + "".join(lines), encoding="utf-8")
        while True:
            text = _as_left(words, file)
            try:
                found = assignments(text, "nothing was written")
                checked(found)
            except SecretError as error:
                if sys.stdin.isatty() and confirmed(f"{error}\nEdit again?", default=True):
                    continue
                raise
            return found


def _as_left(words: list[str], file: Path) -> str:
    """What the file holds when the editor has ended."""
    try:
        status = subprocess.run([*words, str(file)], check=False).returncode
    except OSError as error:
        raise SecretError(f"the editor {words[0]} cannot be run ({error.strerror}); export EDITOR") from None
    if status:
        raise SecretError(f"the editor {words[0]} ended with status {status}; nothing was written")
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise SecretError("what the editor left is no text; nothing was written") from None


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Have a closed terminal or a TERM end this process through its `finally`s: nothing in clear is left."""

    def end(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGHUP, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _memory() -> str | None:
    for directory in (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm"):  # noqa: S108 (a directory of our own within)
        if directory and os.access(directory, os.W_OK | os.X_OK):
            return directory
    note("There is no memory-backed storage here; the secrets are on disk in clear while you edit them")
    return None

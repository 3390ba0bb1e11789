"""Secrets that a tool of its own keeps: sops, age, 1Password's op and pass. Each is called, none is imitated.

A value reaches us on the tool's stdout; nothing secret is in its arguments.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from signalbox.secrets.file_formats import secrets_of
from signalbox.secrets.secret import Secret, SecretError
from signalbox.secrets.source import Readable, once, scopes

_SECONDS = 120  # a tool may ask a person first


class ToolError(SecretError):
    """A tool failed; `words`: what it said on stderr."""

    def __init__(self, message: str, words: str) -> None:
        super().__init__(message)
        self.words = words


@cache
def sops_reader() -> Callable[[Path], Readable]:
    """What opens files of sops (https://getsops.io); its own configuration says with which key."""
    return once(lambda path: secrets_of(_run("sops", "--decrypt", "--output-type", "json", str(path)), str(path)))


@cache
def age_reader(identity: str | None) -> Callable[[Path], Readable]:
    """What opens files of age (https://age-encryption.org); without an identity file age asks for a passphrase."""
    with_identity = ["--identity", str(Path(identity).expanduser())] if identity else []
    return once(lambda path: secrets_of(_run("age", "--decrypt", *with_identity, str(path)), str(path)))


class Entries:
    """Entries of a password manager, one for each secret and scope; the host's goes before its groups' and all's.

    Args:
        words: the command that prints the entry that is added to it.
        entry: pattern of an entry's name, with `{name}` and, where hosts have their own, `{scope}`.
        groups: of the host, the lowest first.
        absent: what the tool says when there is no such entry.
        how: the command that adds one.
    """

    def __init__(
        self, words: Sequence[str], entry: str, groups: Sequence[str], absent: re.Pattern[str], how: str
    ) -> None:
        self._words, self._entry, self._groups, self._absent, self._how = words, entry, groups, absent, how

    def find(self, name: str, host: str) -> Secret | None:
        for entry in self._entries(name, host):
            try:
                text = _printed(*self._words, entry)
            except ToolError as error:
                if self._absent.search(error.words):
                    continue
                raise
            if text:
                return Secret(text)
        return None

    def where(self, name: str, host: str) -> str:
        entries = self._entries(name, host)
        return f"looked in {', '.join(entries)}; {self._how} {entries[-1]}"

    def _entries(self, name: str, host: str) -> list[str]:
        filled = (self._entry.replace("{name}", name).replace("{scope}", scope) for scope in scopes(host, self._groups))
        return list(dict.fromkeys(filled))


def onepassword(entry: str, groups: Sequence[str]) -> Entries:
    """1Password by its command line (https://developer.1password.com/docs/cli)."""
    absent = re.compile(r"isn't an item|does not have a field|doesn't have a field|isn't a field|no item found")
    return Entries(["op", "read", "--no-newline"], entry, groups, absent, "add the field")


def password_store(entry: str, groups: Sequence[str]) -> Entries:
    """pass (https://www.passwordstore.org): the first line of an entry."""
    return Entries(["pass", "show"], entry, groups, re.compile("is not in the password store"), "run: pass insert")


@cache  # so that hosts share what was read
def _printed(*words: str) -> str:
    return _run(*words).split("\n", 1)[0]


def _run(program: str, *arguments: str) -> str:
    try:
        done = subprocess.run(
            [program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_SECONDS
        )
    except FileNotFoundError:
        raise SecretError(f"{program} is not installed; install it, or set secrets.source otherwise") from None
    except subprocess.TimeoutExpired:
        raise SecretError(f"{program} did not end in {_SECONDS} s") from None
    except OSError as error:
        raise SecretError(f"{program} cannot be run ({error.strerror})") from None
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode:
        lines = said.splitlines() or [f"exit status {done.returncode}"]
        why = next((line for line in lines if "error:" in line.lower()), lines[-1])
        raise ToolError(f"{program} {arguments[-1]}: {why}", said)
    try:
        return done.stdout.decode()
    except UnicodeDecodeError:
        raise SecretError(f"{program} {arguments[-1]}: what it printed is no text") from None

"""How a host is asked, and how its answer is read: the one encoding of all facts, and its one decoder.

A host's answer is untrusted bytes. A fact's script prints fields, each ended by NUL, which no name, path, link target
or variable can hold; what another user's process says is one field, in base64. All of it travels as one line of base64
behind a mark, so that what a shell greets with does not count as an answer, and it is bounded in time and size.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from signalbox.shell import Script, sh
from signalbox.shell.run_as import SYSTEM_PATH, run_as

SECONDS = 20  # a fact may take; a host that does not tell what it is by then fails
MAX_BYTES = 1024 * 1024  # of an answer
MAX_CLAIM = 128 * 1024  # of what a user's own process says
_MARK = "signalbox-answer:"
_END = "end"


class UnreadableError(FactProcessError):
    """A host's answer is not what was asked for; the message says how. pyinfra fails that host, and no other."""


T = TypeVar("T")


class HostFact(FactBase[T]):
    """A fact of ours: a host that is silent has not answered."""

    always_answers = True  # see signalbox.engine.isolation


def asked(script: Script, *, seconds: int = SECONDS, max_bytes: int = MAX_BYTES) -> Script:
    """Return the command that tells the fields which `script` (sh, without `exit`) prints; see `fields`."""
    # What /etc/environment gives root may lack sbin, where half of it lies.
    told = sh("PATH={}; {{ {}; printf '%s\\0' {}; }} 2>/dev/null </dev/null", SYSTEM_PATH, script, _END)
    return _bounded(told, seconds, max_bytes)


def _bounded(told: Script, seconds: int, max_bytes: int) -> Script:
    # Base64 comes outside of the limit, and the time limit outside of all: a process that got away from the script
    # holds a pipe of it open for as long as it likes.
    line = sh("printf '\\n%s' {}; {{ {}; }} | head -c {} | base64 -w0; echo", _MARK, told, max_bytes + 1)
    late = f"the host did not tell this within {seconds} s"
    return sh(
        "timeout -k 2 {} sh -c {} || {{ s=$?; [ $s -lt 124 ] || echo {} >&2; exit $s; }}", seconds, str(line), late
    )


@dataclass(frozen=True)
class Asked:
    """What a command of `asked` asks. told: shell that prints the fields, for who bounds time and size himself."""

    told: str
    max_bytes: int

    def lines(self, output: bytes) -> list[str]:
        """Return the lines that the whole command would print, from what `told` prints."""
        return ["", _MARK + base64.b64encode(output[: self.max_bytes + 1]).decode()]


_LIMITS = re.compile(r"timeout -k 2 (\d+) sh -c '.*; \} \| head -c (\d+) \| base64 -w0; echo' \|\|", re.DOTALL)


def asked_of(command: str) -> Asked | None:
    """Return what this command asks; None: it was not made by `asked`."""
    if limits := _LIMITS.match(command):
        max_bytes = int(limits[2]) - 1
        before, after = _bounded(sh("\0"), int(limits[1]), max_bytes).split("\0")
        if command.startswith(before) and command.endswith(after):
            quoted = command[len(before) : -len(after)]
            return Asked(quoted.replace("'\"'\"'", "'"), max_bytes)  # as shlex.quote quotes it
    return None


def said_by(user: str, home: str, script: Script) -> Script:
    """Return shell that prints, as one field, what `script` prints when `user` runs it: whatever that is.

    Its processes are the user's to stop and to replace, so what they say is that user's claim; see `claim`.
    """
    run = run_as(user, home, script) if user != "root" else sh("( {} )", run_as(user, home, script))
    return sh("{{ {}; }} 2>/dev/null </dev/null | head -c {} | base64 -w0; printf '\\0'", run, MAX_CLAIM)


def heard(script: str, *, seconds: int, max_bytes: int = MAX_BYTES) -> Script:
    """Return the command that tells all that `script` (sh) prints, as it is; stdin is passed on to it. See `said`."""
    return _bounded(sh('PATH="$PATH:{}"; sh -c {} 2>/dev/null', SYSTEM_PATH, str(script)), seconds, max_bytes)


def said(output: Sequence[str], *, max_bytes: int = MAX_BYTES) -> str:
    """Return what the script of `heard` printed, from the lines that came.

    Raises:
        UnreadableError: there is no answer in them, or one that is too long.
    """
    return _data(output, max_bytes).decode(errors="replace")


def fields(output: Sequence[str], *, max_bytes: int = MAX_BYTES) -> list[str]:
    """Return the fields of the answer to `asked`, from the lines that pyinfra read.

    What is no UTF-8 has its bytes written out (`\\xff`), as which no name of ours is.

    Raises:
        UnreadableError: there is no answer in it, not a whole one, or one that is too long.
    """
    data = _data(output, max_bytes)
    *whole, rest = data.split(b"\0")
    if rest or not whole or whole.pop() != _END.encode():
        raise UnreadableError("the host's answer breaks off")
    return [each.decode(errors="backslashreplace") for each in whole]


def _data(output: Sequence[str], max_bytes: int) -> bytes:
    marked = [line for line in output if line.startswith(_MARK)]
    if len(marked) != 1:
        raise UnreadableError("what the host printed is no answer")
    if len(marked[0]) > max_bytes * 2:
        raise UnreadableError(f"the host told more than {max_bytes} bytes")
    try:
        data = base64.b64decode(marked[0].removeprefix(_MARK), validate=True)
    except (binascii.Error, ValueError):
        raise UnreadableError("what the host printed is no answer") from None
    if len(data) > max_bytes:
        raise UnreadableError(f"the host told more than {max_bytes} bytes")
    return data


def records(output: Sequence[str], shapes: Mapping[str, int]) -> Iterator[tuple[str, ...]]:
    """Yield the records of an answer, each a tag and its fields; `shapes`: how many fields follow each tag.

    Raises:
        UnreadableError: as `fields`, or there is another tag, or a record breaks off.
    """
    rest = iter(fields(output))
    for tag in rest:
        if tag not in shapes:
            raise UnreadableError("the host told something that was not asked for")
        found = tuple(field for _, field in zip(range(shapes[tag]), rest, strict=False))
        if len(found) != shapes[tag]:
            raise UnreadableError("the host's answer breaks off")
        yield (tag, *found)


def values(output: Sequence[str], *tags: str) -> dict[str, str]:
    """Return the value of each tag of an answer whose records have one field each, and each tag once.

    Raises:
        UnreadableError: as `records`.
    """
    return {record[0]: record[1] for record in records(output, dict.fromkeys(tags, 1))}


def claim(field: str) -> str:
    """Return what a user's process said, from the field that `said_by` printed; "" for what cannot be one."""
    try:
        return base64.b64decode(field, validate=True).decode(errors="backslashreplace")
    except (binascii.Error, ValueError):
        return ""


def text_of(digits: str) -> str:
    """Return the text that a `text` record has in hexadecimal digits.

    Raises:
        UnreadableError: there are others.
    """
    try:
        return bytes.fromhex(digits).decode(errors="backslashreplace")
    except ValueError:
        raise UnreadableError("what the host printed is no answer") from None


def number(text: str) -> int:
    """Return a whole number of a host's.

    Raises:
        UnreadableError: it is none that a machine would have.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise UnreadableError("the host told something else than a number")
    return int(text)

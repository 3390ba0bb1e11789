"""Shell text, and the one builder of it, which quotes what it is given.

Whatever takes shell text takes a `Script`, so mypy finds a plain string that would reach a shell;
tests/unit/test_shell_text.py finds a Script that was not made here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from string import Formatter

from pyinfra.api import StringCommand

Word = str | int | float | Iterable[str]

_INSIDE_QUOTES = re.compile(r"['\"]$")


class Script(str):
    """Text for a POSIX shell in which nothing stands that `sh` has not quoted."""

    __slots__ = ()


_PLAIN = {Script, str, int, float}


def sh(template: str, /, *words: Word, **named: Word) -> Script:
    """Return the template, a literal, with a word in the place of each `{}` or `{name}`; `{{` is a brace.

    A word is quoted, several are quoted each and separated by spaces, and a Script stands as it is.

    Raises:
        ValueError: a field stands in quotes of the template, where a quoted word would end them.
    """
    kinds = tuple(map(type, (*words, *named.values())))
    if _PLAIN.issuperset(kinds):
        return _filled(template, words, tuple(named.items()), kinds)
    return _put(template, words, named)


@lru_cache(maxsize=1 << 14)
def _filled(template: str, words: tuple[Word, ...], named: tuple[tuple[str, Word], ...], _: tuple[type, ...]) -> Script:
    """Return what `sh` does; a fleet's hosts are asked and told much the same, word for word.

    The last: the words' types. A Script and a str of the same text are equal, and are quoted differently.
    """
    return _put(template, words, dict(named))


def _put(template: str, words: tuple[Word, ...], named: Mapping[str, Word]) -> Script:
    parts, rest = [], iter(words)
    for literal, field in _fields(template):
        parts.append(literal)
        if field is not None:
            parts.append(_quoted(named[field] if field else next(rest)))
    return Script("".join(parts))


@cache
def _fields(template: str) -> tuple[tuple[str, str | None], ...]:
    found = tuple((literal, field) for literal, field, _, _ in Formatter().parse(template))
    for literal, field in found:
        if field is not None and _INSIDE_QUOTES.search(literal):
            raise ValueError(f"a field may not stand right behind a quotation mark: {literal[-20:]}{{{field}}}")
    return found


def _quoted(word: Word) -> str:
    if isinstance(word, Script):
        return word
    if isinstance(word, str):
        return shlex.quote(word)
    if isinstance(word, int | float):
        return str(word)
    return " ".join(map(_quoted, word))


def all_of(*steps: Script) -> Script:
    """Return the steps one after another, as long as each succeeds."""
    return Script(" && ".join(steps))


def each_of(*steps: Script) -> Script:
    """Return the steps one after another, however each ends."""
    return Script("; ".join(steps))


def script_of(command: StringCommand) -> Script:
    """Return the shell text of a command that `fed` has made."""
    return Script(command.get_raw_value())


def command_of(script: Script) -> StringCommand:
    """Return the script as pyinfra's connectors take it."""
    return StringCommand(script)


def fed(script: Script, stdin: str) -> StringCommand:
    """Return the command that runs `script` with this on its stdin: what may be long, or must not be seen."""
    return StringCommand(script, _stdin=stdin)

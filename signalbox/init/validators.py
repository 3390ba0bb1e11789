"""Checks of an answer's shape, for any question, and how an answer is repeated."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from signalbox.fields.messages import nearest
from signalbox.fields.urls import host_problem
from signalbox.init.question import Known, WrongAnswerError

T = TypeVar("T")


def split_address(given: str) -> tuple[str, int]:
    """Return address and port of an answer such as 192.168.1.10, box.lan:2222 or [fd00::2]:2222."""
    found = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\s]+))(?::(\d+))?|([0-9A-Fa-f:]+)", given)
    if not found:
        raise WrongAnswerError(
            f"{shown(given)} is no address; write one such as 192.168.1.10, or with a port, 192.168.1.10:2222"
        )
    address, port = found[1] or found[2] or found[4], int(found[3] or 22)
    if problem := host_problem(address):
        raise WrongAnswerError(problem)
    if not 1 <= port <= 65535:
        raise WrongAnswerError(f"{port} is no port; write 1 to 65535")
    return address, port


def one_of(choices: Iterable[str]) -> Callable[[str, Known], str]:
    """Return a check that takes one of these words."""
    words = list(choices)

    def check(given: str, _: Known) -> str:
        if given.lower() not in words:
            raise WrongAnswerError(f"{shown(given)} is none of {', '.join(words)}{nearest(given.lower(), words)}")
        return given.lower()

    return check


def yes_or_no(given: str, _: Known) -> str:
    """Take y, yes, n or no."""
    word = given.lower()
    if word not in ("y", "yes", "n", "no"):
        raise WrongAnswerError(f"{shown(given)} is neither yes nor no; write y or n")
    return word[0]


def field(kind: Any) -> Callable[[str, Known], str]:
    """Return a check from a kind of values of fields/."""
    return lambda given, _: field_value(kind, given)


def standard_or(check: Callable[[str, Known], str]) -> Callable[[str, Known], str]:
    """Return a check that also takes `standard`."""
    return lambda given, known: "standard" if given.lower() == "standard" else check(given, known)


def listed(given: str) -> list[str]:
    """Return the parts of an answer that are separated by commas."""
    parts = [part.strip() for part in given.split(",")]
    if not all(parts):
        raise WrongAnswerError("there is nothing between two commas; write one, or several as in a, b")
    return parts


def field_value(kind: Any, given: str) -> str:
    """Return an answer that settings would take as this kind of value.

    Raises:
        WrongAnswerError: in the words of fields/.
    """
    try:
        return str(TypeAdapter(kind).validate_python(given))
    except ValidationError as error:
        raise WrongAnswerError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None


def picked(given: str, names: list[str], things: Iterable[T]) -> T:
    """Return the thing that an answer picks, by its number in the list or its name."""
    found = list(things)
    if given in names:
        return found[names.index(given)]
    if given.isdigit() and 1 <= int(given) <= len(found):
        return found[int(given) - 1]
    raise WrongAnswerError(
        f"{shown(given)} is not in the list; write a number from 1 to {len(found)}, or the name{nearest(given, names)}"
    )


def shown(given: str) -> str:
    """Return an answer as it is repeated in a message."""
    text = given if given.isprintable() else repr(given)
    return f'"{text[:60]}…"' if len(text) > 60 else f'"{text}"'

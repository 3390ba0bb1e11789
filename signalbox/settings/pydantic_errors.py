"""pydantic's errors in this project's words."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from signalbox.fields.messages import nearest, show
from signalbox.settings.layers import Path
from signalbox.settings.problems import Problem

_KINDS: dict[type, str] = {str: "text", bool: "True or False", int: "a number", float: "a number with a fraction"}
_WRITE = {
    "string_type": "a text in quotes",
    "int_type": "a whole number without quotes",
    "bool_type": "True or False",
    "list_type": "a list […]",
    "dict_type": "a dict {…}",
    "model_type": "a dict {…}",
}


def problems_of(error: ValidationError, at: Path, kind: Any) -> list[Problem]:
    """The problems of a value at path `at` that was validated as `kind`."""
    return [_problem(details, at, kind) for details in error.errors(include_url=False)]


def unknown(key: str, known: set[str] | frozenset[str]) -> str:
    """What to say of a key that no section has."""
    return f"unknown setting{nearest(str(key), known) or '; take it out (`signalbox settings --explain` tells all)'}"


def _problem(details: ErrorDetails, at: Path, kind: Any) -> Problem:
    location = tuple(part for part in details["loc"] if part != "[key]")
    path = (*at, *location)
    error, value = details["type"], details["input"]
    if error == "value_error":
        return Problem(path, str(details["ctx"]["error"]))
    if error == "extra_forbidden":
        return Problem(path, unknown(str(location[-1]), _known(kind, location[:-1])))
    if error == "literal_error":
        expected = str(details["ctx"]["expected"]).replace("'", '"')
        return Problem(path, f"{show(value)} is not possible here; write {expected}")
    if error in _WRITE:
        return Problem(path, f"{described(value)}; write {_WRITE[error]}")
    if error == "missing":
        return Problem(path, "missing; `signalbox settings --explain` tells what it means")
    return Problem(path, f"{show(value)}: {details['msg']}")


def described(value: object) -> str:
    """A value and what it is: `"4001" is text`."""
    if value is None:
        return "None is not possible here"
    return f"{show(value)} is {_KINDS.get(type(value), 'a ' + type(value).__name__)}"


def _known(kind: Any, location: tuple[str | int, ...]) -> set[str]:
    """The keys of the model found from `kind` along `location`."""
    for part in location:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[str(part)].annotation
        else:
            kind = getattr(kind, "__args__", (None,))[-1]  # dict[str, Model] or list[Model]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return set(kind.model_fields) - {"name"}
    return set()

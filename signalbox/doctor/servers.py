"""How much context a model is loaded with, by its server's own word. Which word that is, is data: see `reading`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def context_of(answer: Any, reading: Mapping[str, Any]) -> int | None:
    """Return the tokens of context that the model of `reading` is loaded with; None: it is not loaded.

    `reading` is a backends.shape.Reading as JSON has it: the dotted paths in it lead through `answer`.
    """
    for entry in [answer] if reading["models"] is None else _at(answer, reading["models"]) or []:
        if reading["models"] is None or reading["model"] in [_at(entry, name) for name in reading["names"]]:
            context = _at(entry, reading["context"])
            if isinstance(context, int):
                return context
    return None


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        try:
            value = value[int(part)] if part.isdigit() else value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value

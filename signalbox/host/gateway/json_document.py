"""JSON that others send, looked at on its way: of a bounded length, and it may hold anything.

Looking at it takes time that is linear in its length, and raises nothing.
"""

from __future__ import annotations

import json
from typing import Any

MOST = 1 << 20  # bytes of a document: a longer one is passed on, and not looked at


class Document:
    """Keeps what comes in pieces, for as long as it is not too long."""

    def __init__(self, most: int = MOST) -> None:
        self._most, self._data = most, bytearray()
        self.length = 0

    @property
    def too_long(self) -> bool:
        return self.length > self._most

    def take(self, piece: bytes) -> None:
        self.length += len(piece)
        if self.too_long:
            self._data = bytearray()
        else:
            self._data += piece

    def value(self) -> dict[str, Any]:
        """Return the object that it is in JSON; {} where it is none, or too long."""
        return parsed(self._data)

    def forget(self) -> None:
        """Keep its length alone."""
        self._data = bytearray()


def parsed(data: bytes | bytearray) -> dict[str, Any]:
    """Return the object that this is in JSON; {} where it is none."""
    if data[:1].isalnum():  # no object begins so; the parser's error costs more
        return {}
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):  # the second: nested too deeply
        return {}
    return value if isinstance(value, dict) else {}


def part(value: object, name: str) -> dict[str, Any]:
    """Return the object below a name of an object; {} where there is none."""
    below = value.get(name) if isinstance(value, dict) else None
    return below if isinstance(below, dict) else {}


def parts(value: object, name: str) -> list[dict[str, Any]]:
    """Return the objects in the list below a name of an object."""
    below = value.get(name) if isinstance(value, dict) else None
    return [each for each in below if isinstance(each, dict)] if isinstance(below, list) else []


def text(value: object, name: str) -> str:
    """Return the text below a name of an object; "" where there is none."""
    below = value.get(name) if isinstance(value, dict) else None
    return below if isinstance(below, str) else ""

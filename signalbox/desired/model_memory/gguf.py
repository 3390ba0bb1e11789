"""The head of a GGUF file: the metadata that stands before the weights, of whoever made the file.

A range of the file's first megabytes is enough. All lengths in it are somebody else's, so each is checked before
anything of it is read. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass

MOST = 64 << 20  # bytes of a head; the largest vocabularies of today make 12 MiB
_PAIRS = 4096
_KEY = 65_535  # bytes of a key, by the specification
_KEPT = 4096  # of a list: one for each layer is kept, a vocabulary counted
_SHOWN = 1024  # bytes of a text that are kept
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_SIZES = {kind: struct.calcsize(f"<{code}") for kind, code in _SCALARS.items()}
_BOOL, _TEXT, _LIST = 7, 8, 9

Value = int | float | bool | str | tuple[int | float | bool, ...]


class TooShortError(ValueError):
    """The head goes on beyond what was read of it."""


@dataclass(frozen=True)
class Head:
    """What stands there: values by key, and of each long list or list of texts how many it holds."""

    tensors: int
    values: Mapping[str, Value]
    counts: Mapping[str, int]


def head_of(data: bytes) -> Head:
    """Return the metadata of a GGUF file of which these are the first bytes.

    Raises:
        TooShortError: it is a prefix of what may be one; read more, up to `MOST`.
        ValueError: it is no GGUF file, or not one that llama.cpp would load; nothing else is raised.
    """
    if len(data) > MOST:
        raise ValueError(f"more than {MOST >> 20} MiB")
    reader = _Reader(data)
    if (magic := reader.raw(4)) != b"GGUF":
        raise ValueError("no GGUF file" if magic[:1] != b"<" else "no GGUF file but a page, such as of a login")
    version = reader.number("I")
    if version not in (2, 3):
        raise ValueError("a GGUF file for big-endian machines" if version in (2 << 24, 3 << 24) else "a GGUF "
                         f"file of version {version}; 2 and 3 are known")  # fmt: skip
    tensors, pairs = reader.number("Q"), reader.number("Q")
    if pairs > _PAIRS or tensors > 1 << 20:
        raise ValueError("more metadata than any model has")
    values: dict[str, Value] = {}
    counts: dict[str, int] = {}
    for _ in range(pairs):
        key = reader.text(_KEY)
        if key in values or key in counts:
            raise ValueError("one key stands there twice")
        if (kind := reader.number("I")) == _LIST:
            _list(reader, key, values, counts)
        else:
            values[key] = reader.value(kind)
    return Head(tensors, values, counts)


def _list(reader: _Reader, key: str, values: dict[str, Value], counts: dict[str, int]) -> None:
    kind, length = reader.number("I"), reader.number("Q")
    if length > MOST:
        raise ValueError("a list is longer than any model's")
    if kind == _TEXT:
        reader.skip_texts(length)
        counts[key] = length
    elif kind not in _SCALARS:
        raise ValueError("a list holds what no list may")
    elif length > _KEPT:
        reader.raw(length * _SIZES[kind])
        counts[key] = length
    else:
        values[key] = tuple(reader.scalar(kind) for _ in range(length))


class _Reader:
    """Reads from the front, and never beyond the end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def raw(self, length: int) -> bytes:
        end = self._at + length
        if end > MOST:
            raise ValueError("a length in it leads beyond what a head may be")
        if end > len(self._data):
            raise TooShortError(f"its first {len(self._data)} bytes do not hold its whole head")
        found = self._data[self._at : end]
        self._at = end
        return found

    def number(self, code: str) -> int:
        (found,) = struct.unpack(f"<{code}", self.raw(struct.calcsize(f"<{code}")))
        return int(found)

    def text(self, most: int) -> str:
        length = self.number("Q")
        if length > most:
            raise ValueError("a text in it is longer than it may be")
        return self.raw(length)[:_SHOWN].decode(errors="replace")

    def scalar(self, kind: int) -> int | float | bool:
        raw = self.raw(_SIZES[kind])
        if kind == _BOOL:
            if raw not in (b"\0", b"\1"):
                raise ValueError("a yes or no in it is neither")
            return raw == b"\1"
        (found,) = struct.unpack(f"<{_SCALARS[kind]}", raw)
        if isinstance(found, float) and not math.isfinite(found):
            raise ValueError("a number in it is none")
        return int(found) if isinstance(found, int) else float(found)

    def value(self, kind: int) -> Value:
        if kind == _TEXT:
            return self.text(MOST)
        if kind not in _SCALARS:
            raise ValueError("a value is of no known kind")
        return self.scalar(kind)

    def skip_texts(self, length: int) -> None:
        # By itself, for a vocabulary has hundreds of thousands.
        data, at, end, unpack = self._data, self._at, len(self._data), struct.Struct("<Q").unpack_from
        for _ in range(length):
            if at + 8 > end:
                raise TooShortError(f"its first {end} bytes do not hold its whole head")
            at += 8 + int(unpack(data, at)[0])
            if at > MOST:
                raise ValueError("a length in it leads beyond what a head may be")
        if at > end:
            raise TooShortError(f"its first {end} bytes do not hold its whole head")
        self._at = at

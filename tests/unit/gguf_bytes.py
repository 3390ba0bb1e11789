"""Makes the head of a GGUF file, for tests: what llama.cpp's own converter would write before the weights."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

_CODES = {bool: (7, "?"), int: (4, "I"), float: (6, "f")}


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def pair(key: str, value: Any) -> bytes:
    if isinstance(value, str):
        return text(key) + struct.pack("<I", 8) + text(value)
    if not isinstance(value, list):
        kind, code = _CODES[type(value)]
        return text(key) + struct.pack(f"<I{code}", kind, value)
    kind, items = (8, b"".join(map(text, value))) if isinstance(value[0], str) else _packed(value)
    return text(key) + struct.pack("<IIQ", 9, kind, len(value)) + items


def _packed(values: Sequence[Any]) -> tuple[int, bytes]:
    kind, code = _CODES[type(values[0])]
    return kind, struct.pack(f"<{len(values)}{code}", *values)


def head(pairs: Mapping[str, Any], *, tensors: int = 0, version: int = 3, order: str = "<") -> bytes:
    return (
        b"GGUF"
        + struct.pack(f"{order}IQQ", version, tensors, len(pairs))
        + b"".join(pair(key, value) for key, value in pairs.items())
    )


def of(architecture: str, keys: Mapping[str, Any], *, vocabulary: int = 4, context: int = 262_144) -> bytes:
    """The head of a model of this architecture; keys without its prefix."""
    named = {f"{architecture}.{key}": value for key, value in {"context_length": context, **keys}.items()}
    return head({"general.architecture": architecture, **named, "tokenizer.ggml.tokens": ["a"] * vocabulary})

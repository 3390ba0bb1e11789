"""What hosts, model servers and files that others may write say: JSON that is bounded."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


def json_of(text: str | bytes, *, max_bytes: int, max_depth: int = 32) -> Any:
    """Parse JSON that nobody vouches for; bytes are UTF-8.

    Numbers are finite, and every string can be written as UTF-8 again. Which types stand where is for the caller to
    check.

    Raises:
        ValueError: it is no JSON, longer than `max_bytes`, or nested deeper than `max_depth`; nothing else is raised.
    """
    if len(text) > max_bytes:
        raise ValueError(f"more than {max_bytes} bytes")
    encoded = text.encode() if isinstance(text, str) else text
    if len(encoded) > max_bytes:
        raise ValueError(f"more than {max_bytes} bytes")
    try:
        value = json.loads(encoded.decode(), parse_constant=_refused, parse_float=_finite)
    except RecursionError:
        raise ValueError(f"nested deeper than {max_depth}") from None
    level, depth = [value], 0
    while level:
        for string in (each for each in level if isinstance(each, str)):
            string.encode()  # half of a surrogate pair: UnicodeEncodeError, a ValueError
        holders = [each for each in level if isinstance(each, dict | list)]
        depth += bool(holders)
        if depth > max_depth:
            raise ValueError(f"nested deeper than {max_depth}")
        level = [inner for each in holders for inner in ([*each, *each.values()] if isinstance(each, dict) else each)]
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"a number is out of range: {text[:20]}")
    return number


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")

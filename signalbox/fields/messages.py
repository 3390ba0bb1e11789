"""How messages speak of values: on one line, with the nearest word, and never with a key in them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

# What issuers start their keys with; such text is never repeated in a message.
_KEY = re.compile(r"sk-[\w-]{6,}|-----BEGIN [A-Z ]*PRIVATE KEY|gh[pousr]_\w{10,}|eyJ[\w-]{10,}\.|AKIA\w{12,}")


def show(value: object) -> str:
    """A value as one writes it in a settings file, on one line; never something that looks like a key."""
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    if holds_key(text):
        return "this value (not repeated, it looks like a key)"
    text = text.replace("\n", "\\n")
    return text if len(text) <= 120 else f"{text[:100]}… ({len(text)} characters)"


def holds_key(text: str) -> bool:
    """Whether `text` holds something that looks like an API key, a token or a private key."""
    return _KEY.search(text) is not None


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?` for the known word most like `word`, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""

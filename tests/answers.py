"""Answers as a host gives them to facts: fields, each ended by NUL, on one line of base64."""

from __future__ import annotations

import base64

from signalbox.facts import answer


def answered(*fields: str | bytes, end: bool = True) -> list[str]:
    """Return the lines that a fact reads when a host tells these fields; `end` False: and breaks off there."""
    told = [each if isinstance(each, bytes) else each.encode() for each in (*fields, *([answer._END] if end else []))]
    return ["", answer._MARK + base64.b64encode(b"".join(each + b"\0" for each in told)).decode()]


def claimed(text: str) -> str:
    """Return the field in which a user's own process says this."""
    return base64.b64encode(text.encode()).decode()


def text_field(text: str) -> str:
    """Return a file's text as a `text` record has it."""
    return text.encode().hex()

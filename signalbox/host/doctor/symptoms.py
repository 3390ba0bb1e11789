"""The symptoms: what symptoms.yaml says (on the host: symptoms.json), and which of them an error message belongs to."""

from __future__ import annotations

import json
import pkgutil
import re
from dataclasses import dataclass
from functools import cache

FAILURE, WARNING = "failure", "warning"
# What web pages and word processors make of quotes, dots and spaces.
_QUOTES = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2026": "...", "`": "'", "\u00a0": " "}
)


@dataclass(frozen=True)
class Symptom:
    """One row; `messages` are as people paste them, with * for anything; "" where there is no such text."""

    id: str
    symptom: str
    cause: str
    cure: str
    messages: tuple[str, ...] = ()
    check: str = ""
    fix: str = ""
    level: str = FAILURE
    source: str = ""


@cache
def symptoms() -> dict[str, Symptom]:
    """Return all symptoms by id, in the file's order."""
    text = pkgutil.get_data(__package__, "symptoms.json")
    return of_rows(json.loads(text or b"{}"))


def of_rows(rows: dict[str, dict[str, object]]) -> dict[str, Symptom]:
    """Return the symptoms of a file that was read. Raises TypeError for a key that is none."""
    known = {}
    for ident, row in rows.items():
        messages = row.get("messages") or ()
        known[ident] = Symptom(**{**row, "id": ident, "messages": tuple(messages)})  # type: ignore[arg-type]
    return known


def explain(text: str, among: dict[str, Symptom] | None = None) -> list[Symptom]:
    """Return the symptoms with a message that occurs in `text`, the one with the longest match first."""
    said = _plain(text)
    found = []
    for symptom in (symptoms() if among is None else among).values():
        longest = max((_match(message, said) for message in (*symptom.messages, symptom.symptom)), default=0)
        if longest:
            found.append((longest, symptom))
    return [symptom for _, symptom in sorted(found, key=lambda each: -each[0])]


def _match(message: str, said: str) -> int:
    """Return how many characters of the message's own text occur in `said`; 0: it does not occur."""
    return len(message.replace("*", "")) if _pattern(message).search(said) else 0


@cache
def _pattern(message: str) -> re.Pattern[str]:
    words = _plain(message)
    pattern = ".{0,300}?".join(re.escape(part) for part in words.strip("*").split("*"))
    # A message that begins or ends with a word is that word, not part of a longer one.
    start, end = (r"(?<!\w)" if words[:1].isalnum() else ""), (r"(?!\w)" if words[-1:].isalnum() else "")
    return re.compile(start + pattern + end)


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.translate(_QUOTES)).strip().lower()

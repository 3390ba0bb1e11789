"""A line of a user's shell file made a comment, where that leaves a file that the shell still reads to its end."""

from __future__ import annotations

from pathlib import Path

from ..shared import within
from .host_context import run

MARK = "# taken out by claude-doctor: "


def without(file: Path, number: int, line: str) -> str | None:
    """Return the file's text with its line `number` as a comment.

    None where it is not that line any more, or where it does not stand for itself: the only command of an `if`, the
    first line of several.
    """
    try:
        text = within.bytes_of(file).decode()
    except (OSError, ValueError):
        return None
    lines = text.splitlines(keepends=True)
    if number > len(lines) or lines[number - 1].rstrip("\n") != line or line.rstrip().endswith("\\"):
        return None
    lines[number - 1] = MARK + lines[number - 1]
    changed = "".join(lines)
    return None if _sound(text) and not _sound(changed) else changed


def _sound(text: str) -> bool:
    return run("bash", "-n", stdin=text)[0] == 0

"""Paths, on the controller and on hosts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from signalbox.fields.checks import checked, matching
from signalbox.fields.messages import show


def _scoped_file(value: str) -> str:
    if value.count("{scope}") != 1 or re.search(r"[{}*?\[\]\0\n]", value.replace("{scope}", "")):
        raise ValueError(
            f"{show(value)} does not say where each scope has its file; write a path with {{scope}} once, such as "
            '"secrets/{scope}.yml"'
        )
    return value


ScopedFile = Annotated[str, checked(_scoped_file)]
FilePath = Annotated[str, matching(r"[^\0\n]+", "a path", 'one such as "~/.config/age/key.txt"')]
AbsolutePath = Annotated[str, matching(r"(/[\w.+-]+)+", "an absolute path", 'the whole path, such as "/bin/bash"')]
ConfigDir = Annotated[
    str,
    matching(r"~(/(?!\.\.?(/|$))[\w.+-]+)+", "a directory below the user's home", 'one such as "~/.claude-local"'),
]
HomePath = Annotated[
    str,
    matching(
        r"(?!\.\.?(/|$))[\w.+-]+(/(?!\.\.?(/|$))[\w.+-]+)*",
        "a path below the user's home",
        'one such as ".config/claude-secrets.env"',
    ),
]


def kept_beside(path: Path) -> Path:
    """Return where a file of the controller's is kept as it was, while it is written anew: `<path>.bak`."""
    return path.with_name(f"{path.name}.bak")

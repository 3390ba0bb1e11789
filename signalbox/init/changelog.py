"""What a newer version's changelog says, and which of it is of settings that a person has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

Path = tuple[str, ...]
_SETTING = re.compile(r"`([a-z][a-z_]*(?:\.[A-Za-z_<>*-]+)*)(?: = [^`]*)?`")
_ANY = re.compile(r"[A-Z*<].*")  # such as X of `lanes.X.prompt`: a record's own name


def entries(text: str) -> Iterator[str]:
    """Yield the entries of a changelog, each on one line."""
    entry: list[str] = []
    for line in [*text.splitlines(), ""]:
        if entry and line.startswith("  "):
            entry.append(line.strip())
            continue
        if entry:
            yield " ".join(entry)
        entry = [line[2:].strip()] if line.startswith("- ") else []


def news(newer: str, present: str) -> list[str]:
    """Return the entries that a newer changelog has and the present one has not."""
    known = set(entries(present))
    return [entry for entry in entries(newer) if entry not in known]


def concerns(entry: str, paths: Iterable[Path]) -> bool:
    """Tell whether an entry names one of these settings, or a section or record that they are in."""
    named = [tuple(found.split(".")) for found in _SETTING.findall(entry)]
    return any(_alike(name, path) for name in named for path in paths)


def _alike(name: Path, path: Path) -> bool:
    return all(one == other or _ANY.fullmatch(one) for one, other in zip(name, path, strict=False))

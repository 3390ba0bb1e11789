"""group_data/pins.py of a project: the versions that its hosts get, whole, with their checksums.

Whole, because a version that stood in a newer Signalbox alone would meet the checksums of an older one here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from signalbox.init.files import Change, rendered
from signalbox.pins import rewrite

PATH = Path("group_data/pins.py")
_HEAD = '"""Versions with their checksums, as `signalbox pin` and `signalbox upgrade` wrote them; literal data only."""'


def changed(path: Path, pins: Mapping[str, Any], values: Mapping[tuple[str, ...], str | None]) -> Change:
    """Return what makes a settings file have these pins; where a person has written in it, other values in place.

    values: those that differ from what the file has, by their paths below `pins`.

    Raises:
        PinError: a person's file has no place for one of them.
    """
    old = path.read_text(encoding="utf-8") if path.exists() else None
    if old is None or old.startswith(_HEAD):
        return Change(path, old, rendered(_HEAD, {"pins": pins}))
    return Change(path, old, rewrite(old, {("pins", *at): value for at, value in values.items()}, str(path)))


def with_values(pins: Mapping[str, Any], values: Mapping[tuple[str, ...], str | None]) -> dict[str, Any]:
    """Return pins with other values at these paths."""
    result = {name: dict(section) if isinstance(section, Mapping) else section for name, section in pins.items()}
    for (first, *rest), value in values.items():
        result[first] = with_values(result.get(first) or {}, {tuple(rest): value}) if rest else value
    return result

"""The sets of pins before each upgrade, beside the settings file that holds them: the way back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from signalbox.pins.errors import PinError
from signalbox.pins.literals import replace

KEPT = 10  # sets
Pins = dict[str, Any]  # the section `pins`, whole


def path(settings: Path) -> Path:
    """Return where the earlier sets of this settings file are: `pins.earlier.json`, or `NAME.pins.json`."""
    return settings.with_suffix(".earlier.json" if settings.stem == "pins" else ".pins.json")


def earlier(settings: Path) -> list[Pins]:
    """Return the earlier sets, oldest first.

    Raises:
        PinError: the file is there and is not one of ours.
    """
    file = path(settings)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise PinError(f"{file}: cannot be read ({error}); correct it or take it away") from None
    if not (isinstance(found, list) and all(isinstance(each, dict) for each in found)):
        raise PinError(f"{file}: is no list of pins; correct it or take it away")
    return found


def keep(settings: Path, sets: list[Pins]) -> None:
    """Write these sets, the oldest left out where there are more than KEPT.

    Raises:
        OSError: the file cannot be written.
    """
    replace(path(settings), json.dumps(sets[-KEPT:], indent=2) + "\n")

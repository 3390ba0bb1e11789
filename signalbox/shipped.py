"""Where what is shipped lies: in a clone at its top level, installed from a wheel inside this package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = (_PACKAGE / "templates").is_dir()
# The clone that this code is run from; None: it is installed.
CLONE = None if _INSTALLED else _PACKAGE.parent


def shipped(name: str) -> Path:
    """Return the path of something that is shipped, such as `templates` or `group_data/all.py`."""
    return (_PACKAGE if CLONE is None else CLONE) / name


def clone_around(directory: Path) -> Path | None:
    """Return the clone of Signalbox that a directory is in or is; None: it is in none."""
    resolved = directory.resolve()
    for each in (resolved, *resolved.parents):
        if (each / "signalbox" / "shipped.py").is_file() and (each / "templates").is_dir():
            return each
    return None

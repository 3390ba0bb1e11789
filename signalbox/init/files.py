"""A project's files: literals read, changes planned, and written whole, with what was there kept beside them."""

from __future__ import annotations

import ast
import difflib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signalbox.fields.checks import PLACEHOLDER
from signalbox.fields.paths import kept_beside
from signalbox.pins.literals import replace

INVENTORY = Path("inventory.py")
ALL = Path("group_data/all.py")
_HEADS = {
    INVENTORY: '"""Your hosts, as `signalbox init` wrote them; literal data."""',
}
_GROUP_HEAD = '"""What differs for these hosts, as `signalbox init` wrote it; literal data only."""'
_WIDTH = 110


class FileError(Exception):
    """A file that cannot be read as literal data, or cannot be written; what to do."""


@dataclass(frozen=True)
class Change:
    """A file as it is (None: it is not there) and as it shall be."""

    path: Path
    old: str | None
    new: str

    def diff(self, root: Path) -> Iterator[str]:
        """Yield the lines of a unified diff, with paths below `root`."""
        before, path = (self.old or "").splitlines(), str(self.path.relative_to(root))
        old = "/dev/null" if self.old is None else path
        yield from difflib.unified_diff(before, self.new.splitlines(), old, path, lineterm="")


def group_data(group: str) -> Path:
    """Return where the settings of a group are, below a project."""
    return Path("group_data") / f"{group}.py"


def entries(inventory: Mapping[str, Any], group: str) -> dict[str, dict[str, Any]]:
    """Return the hosts of a group with what stands beside each; placeholders are none."""
    found = inventory.get(group, [])
    listed = found[0] if isinstance(found, tuple) and found else found
    entries_of = listed if isinstance(listed, list) else ()
    hosts = (entry if isinstance(entry, tuple) else (entry, {}) for entry in entries_of)
    return {name: dict(data) for name, data in hosts if isinstance(name, str) and not PLACEHOLDER.search(name)}


def with_entries(inventory: Mapping[str, Any], group: str, hosts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return an inventory whose group has these hosts; settings that stand beside the list stay there."""
    found = inventory.get(group, [])
    listed = [(name, dict(data)) if data else name for name, data in hosts.items()]
    return {**inventory, group: (listed, *found[1:]) if isinstance(found, tuple) else listed}


def changes(root: Path, wanted: Mapping[Path, Mapping[str, Any]]) -> list[Change]:
    """Return what is to be written so that these files, below `root`, assign these values."""
    found = []
    for path, values in wanted.items():
        old, new = _text(root / path), rendered(_HEADS.get(path, _GROUP_HEAD), values)
        if old != new:
            found.append(Change(root / path, old, new))
    return found


def literals(path: Path) -> dict[str, Any]:
    """Return the values that a file assigns; {} for one that is not there.

    Raises:
        FileError: it holds anything else, which would be lost.
    """
    text = _text(path)
    if text is None:
        return {}
    found = {}
    try:
        for statement in ast.parse(text).body:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                found[statement.targets[0].id] = ast.literal_eval(statement.value)
            elif not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
                raise ValueError
    except (SyntaxError, ValueError):
        raise FileError(
            f"{path} holds more than literal data, which would be lost: move it away, or write there by hand what "
            "`signalbox settings --explain` tells"
        ) from None
    return found


def write(changes: Sequence[Change]) -> list[Path]:
    """Write files, each whole; what was there is kept beside it.

    Returns:
        the copies.

    Raises:
        FileError: one cannot be written; those that were are as they were.
    """
    done: list[tuple[Change, Path | None]] = []
    try:
        for change in changes:
            if _text(change.path) != change.old:
                raise FileError(f"{change.path} has been changed since the diff was made; run this again")
            backup = None
            change.path.parent.mkdir(parents=True, exist_ok=True)
            if change.old is not None:
                backup = kept_beside(change.path)
                shutil.copy2(change.path, backup)
            done.append((change, backup))
            replace(change.path, change.new)
    except BaseException as error:
        for change, backup in done:
            backup.replace(change.path) if backup else change.path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise FileError(f"{error.filename}: cannot be written ({error.strerror}); nothing was changed") from None
        raise
    return [backup for _, backup in done if backup]


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError):
        raise FileError(f"{path} cannot be read; move it away") from None


def rendered(head: str, values: Mapping[str, Any]) -> str:
    """Return a file with this first line that assigns these values."""
    return "\n".join([head, *(f"\n{name} = {literal(value)}" for name, value in values.items())]) + "\n"


def literal(value: Any, indent: int = 0) -> str:
    """Return a value as a person would write it: short ones on a line, others with a member a line."""
    flat = repr(value)
    if flat.startswith("'") and '"' not in flat:
        flat = f'"{flat[1:-1]}"'  # without ' in it, or repr would have taken "
    if not isinstance(value, dict | list | tuple) or not value:
        return flat
    pad = " " * (indent + 4)
    if isinstance(value, dict):
        parts = [f"{literal(key)}: {literal(item, indent + 4)}" for key, item in value.items()]
        begin, end = "{", "}"
    else:
        parts = [literal(item, indent + 4) for item in value]
        begin, end = ("(", ")") if isinstance(value, tuple) else ("[", "]")
    line = f"{begin}{', '.join(parts)}{',' if isinstance(value, tuple) and len(parts) == 1 else ''}{end}"
    nested = any(isinstance(item, dict) and item for item in (value.values() if isinstance(value, dict) else value))
    if "\n" not in line and len(line) + indent < _WIDTH - 20 and not nested:
        return line
    return begin + "".join(f"\n{pad}{part}," for part in parts) + f"\n{' ' * indent}{end}"

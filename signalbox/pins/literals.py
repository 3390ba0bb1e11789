"""Change literals of a settings file in place: comments and everything else stay as they are."""

from __future__ import annotations

import ast
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from signalbox.fields.paths import kept_beside
from signalbox.pins.errors import PinError

Change = Mapping[tuple[str, ...], str | None]  # (section, key, …): the text that shall be there, or None


def rewrite(source: str, changes: Change, name: str = "the file") -> str:
    """`source`, Python with literal sections, with other values at these paths.

    Raises:
        PinError: `source` is no Python, or has no text or None at one of the paths.
    """
    try:
        module = ast.parse(source)
    except SyntaxError as error:
        raise PinError(f"{name}, line {error.lineno}: {error.msg}; correct it first") from None
    data = source.encode()  # ast counts columns in bytes of UTF-8
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    places = []
    for path, value in changes.items():
        node = _find(module, path)
        if node is None or node.end_lineno is None or node.end_col_offset is None:
            raise PinError(f'{name}: has no {".".join(path)}; write it there with None, or "…", and run again')
        begin, end = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
        places.append((begin, end, b"None" if value is None else f'"{value}"'.encode()))
    for begin, end, text in sorted(places, reverse=True):
        data = data[:begin] + text + data[end:]
    return data.decode()


def _find(module: ast.Module, path: tuple[str, ...]) -> ast.Constant | None:
    node: ast.expr | None = None
    for statement in module.body:  # the last assignment counts, as when the file is run
        if isinstance(statement, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == path[0] for target in statement.targets
        ):
            node = statement.value
    for part in path[1:]:
        if not isinstance(node, ast.Dict):
            return None
        values = {
            key.value: value for key, value in zip(node.keys, node.values, strict=True) if isinstance(key, ast.Constant)
        }
        node = values.get(part)
    return node if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, str)) else None


def write(path: Path, text: str) -> Path | None:
    """Replace a file at once, keeping its mode and, beside it, what it was.

    Returns:
        the path of the copy, `<path>.bak`, or None when there was nothing to keep.
    """
    backup: Path | None = None
    if path.exists():
        backup = kept_beside(path)
        shutil.copy2(path, backup)
    replace(path, text)
    return backup


def replace(path: Path, text: str) -> None:
    """Write a file at once, keeping its mode.

    Raises:
        OSError: it cannot be written; what was there is whole.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, path.stat().st_mode & 0o777 if path.exists() else 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise

"""Which runs of pyinfra are Signalbox's: told by what they run, where they run, and the data they have.

Any one sign is enough. A run that is ours has its settings checked before anything is connected to, and locks and
records; one that is not is left alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pyinfra.api.inventory import Inventory

from signalbox.settings.layers import defaults
from signalbox.settings.sections import SECTION_NAMES
from signalbox.shipped import CLONE, shipped

_PACKAGE = Path(__file__).resolve().parents[1]
_TASKS = shipped("tasks")
_BY_SETTINGS = ("settings", "fleet", "tasks", "runs")  # facts, operations and the like are of use with any data
_MAX_FILES = 300  # that are looked at, of those that a deploy imports or that lie in a directory
_MAX_BYTES = 512 * 1024  # of one; more is no deploy


def is_ours(inventory: Inventory, operations: Sequence[str], directories: Iterable[Path]) -> bool:
    """Tell whether a run is Signalbox's.

    + operations: what pyinfra was given after the inventory: deploy files, or a function's or fact's name, or none.
    + directories: those whose group_data pyinfra reads, that of the inventory and the working directory.
    """
    deploys = [Path(name) for name in operations if name.endswith(".py")]
    return (
        any(_is_our_module(name.partition(":")[0]) for name in operations)
        or _leads_to_us(deploys)
        or any(_is_project(directory) for directory in dict.fromkeys(map(Path.resolve, directories)))
        or _has_our_data(inventory)
    )


def _is_our_module(name: str) -> bool:
    """Tell whether a dotted name is of a part of ours that goes by settings.

    In a clone our tasks can be had as `tasks`, too; anywhere else that name is somebody else's.
    """
    package, _, rest = name.partition(".")
    part = rest.partition(".")[0]
    if package == "tasks":
        return CLONE is not None and bool(part) and (_TASKS / f"{part}.py").exists()
    return package == "signalbox" and part in _BY_SETTINGS


def _leads_to_us(files: Sequence[Path]) -> bool:
    """Tell whether one of these files is ours or imports us, itself or by what it imports or includes beside it."""
    left, seen = [*files], set[Path]()
    while left and len(seen) < _MAX_FILES:
        path = left.pop().resolve()
        if path in seen or not path.is_file():
            continue
        if path.parent in (CLONE, _PACKAGE / "commands" / "deploys"):
            return True
        seen.add(path)
        for name in _uses(path):
            if name.endswith(".py"):
                left += [path.parent / name, Path(name)]
            elif _is_our_module(name):
                return True
            elif not name.startswith("signalbox."):
                beside = name.replace(".", "/")
                places = (path.parent, Path())
                left += [place / each for place in places for each in (f"{beside}.py", f"{beside}/__init__.py")]
    return False


def _uses(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, dotted, and the files that it names, such as for `local.include`."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            return
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return  # pyinfra tells what is wrong with it
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # Relative ones are followed in our own runs alone, which lie two floors below our package.
            module = f"{'signalbox.tasks.' if node.level == 2 else ''}{node.module or ''}"
            yield from (".".join(filter(None, (module, alias.name))) for alias in node.names)
            yield module
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(".py"):
            yield node.value


def ours_in(deploy: Path) -> Iterator[str]:
    """Yield our modules that a deploy file will need, dotted, in its order; none of a file that cannot be read."""
    for name in dict.fromkeys(_uses(deploy)):
        package, _, run = name.rpartition(".")
        if package == "signalbox.runs":
            yield from (each for each in dict.fromkeys(_uses(_TASKS / "runs" / f"{run}.py")) if _is_module(each))
        elif _is_module(name):
            yield name


def _is_module(name: str) -> bool:
    package, *rest = name.split(".")
    if package != "signalbox":
        return False
    place = _TASKS.joinpath(*rest[1:]) if rest[:1] == ["tasks"] else _PACKAGE.joinpath(*rest)
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def _is_project(directory: Path) -> bool:
    """Tell whether a directory has a deploy file of ours, or one that imports us."""
    if directory == CLONE:
        return True
    files = sorted(directory.glob("*.py"))[:_MAX_FILES]
    return any(_is_our_module(name) for path in files for name in _uses(path) if not name.endswith(".py"))


def _has_our_data(inventory: Inventory) -> bool:
    """Tell whether a layer of an inventory's data has lanes, or two sections with nothing but our keys."""
    data: Any = inventory  # pyinfra's getters are untyped
    given = data.get_override_data() or {}
    layers = [data.get_data() or {}, {key.partition(".")[0]: _nested(key, value) for key, value in given.items()}]
    layers += [data.get_group_data(name) for name in inventory.groups]
    layers += [data.get_host_data(host.name) for host in inventory]
    return any("lanes" in layer or sum(map(_is_section, layer, layer.values())) > 1 for layer in layers)


def _nested(key: str, value: Any) -> Any:
    parts = key.split(".")[1:]
    return {parts[0]: value} if parts else value


def _is_section(name: str, value: Any) -> bool:
    if name not in SECTION_NAMES or not isinstance(value, Mapping) or not value:
        return False
    known = defaults().get(name)
    return isinstance(known, Mapping) and set(value) <= set(known)

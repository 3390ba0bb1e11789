"""What a project has beside its settings: deploy files, pyproject.toml and the rest, written once, then a person's."""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signalbox.console import note, working
from signalbox.desired.render import render
from signalbox.init.files import Change
from signalbox.init.origin import NAME, PYPROJECT, WHEELS, Origin

_FILES = {  # by their templates
    "deploy.py": "deploy.py",
    "verify.py": "verify.py",
    "remove.py": "remove.py",
    ".gitignore": ".gitignore",
    "README.md": "README.md",
    "drift.yml": ".github/workflows/drift.yml",
}
_LOCKING = 300  # seconds


@dataclass(frozen=True)
class Scaffold:
    """Files that are missing, and what a person has to do where one of theirs is in the place of another."""

    changes: tuple[Change, ...]
    told: tuple[str, ...]
    origin: Origin | None

    def place_wheel(self, root: Path) -> None:
        """Keep a copy of the wheel that the project pins. Raises OSError."""
        if self.origin and self.origin.wheel:
            keep_wheel(root, self.origin.wheel)


def missing(root: Path, origin: Origin | None) -> Scaffold:
    """Return what a project lacks; what is there is a person's, and stays. origin: None: pyproject.toml is there."""
    texts = {name: render(f"project/{template}") for template, name in _FILES.items()}
    if origin:
        texts[PYPROJECT.name] = pyproject(origin)
    changes = tuple(Change(root / name, None, text) for name, text in texts.items() if not (root / name).exists())
    told = [origin.told] if origin and origin.told else []
    return Scaffold(changes, (*told, *_theirs(root)), origin)


def pyproject(origin: Origin) -> str:
    """Return the text of a project's pyproject.toml."""
    comment = f"  # sha256 {origin.sha256}" if origin.sha256 else ""
    return render("project/pyproject.toml", version=origin.version, source=table(origin.source), comment=comment)


def table(source: Mapping[str, str]) -> str:
    """Return a source as it stands in an inline table of TOML."""
    return ", ".join(f"{key} = {json.dumps(value)}" for key, value in source.items())


def keep_wheel(root: Path, wheel: Path) -> None:
    """Copy a wheel into the project. Raises OSError."""
    place = root / WHEELS / wheel.name
    if not (place.exists() and place.samefile(wheel)):
        place.parent.mkdir(exist_ok=True)
        shutil.copyfile(wheel, place)


def lock(root: Path) -> str:
    """Have uv write uv.lock, with the hashes of all packages; return why it could not, "" when it could."""
    uv = shutil.which("uv")
    if uv is None:
        return "uv is not installed"
    with working("Locking the packages of this project"):
        try:
            done = subprocess.run(
                [uv, "lock", "--quiet"], cwd=root, capture_output=True, text=True, check=False, timeout=_LOCKING
            )
        except subprocess.TimeoutExpired:
            return f"uv took more than {_LOCKING} s"
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["uv failed"])[-1]


def locked(root: Path) -> None:
    """Lock, and tell where that failed: nothing else needs it."""
    if why := lock(root):
        note(f"uv.lock is not written ({why}); `uv lock` does it")


def _theirs(root: Path) -> Iterator[str]:
    """Yield what a person has to write into files of their own."""
    path = root / PYPROJECT
    if path.exists() and NAME not in sources(path):
        yield (
            "pyproject.toml is yours and stays: write below [tool.uv.sources] which Signalbox is meant; "
            "by its name alone another project would come"
        )
    for name in ("deploy", "remove"):
        file = root / f"{name}.py"
        if file.exists() and NAME not in file.read_text(encoding="utf-8", errors="replace"):
            yield f"{name}.py is yours and stays: let it import {name} of signalbox.runs, and call it"


def sources(path: Path) -> dict[str, Any]:
    """Return `[tool.uv.sources]` of a pyproject.toml; {} where it has none or cannot be read."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))["tool"]["uv"]["sources"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}

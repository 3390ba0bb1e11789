"""What cells showed: one JSON file each below .signalbox/drills/, and the tables in docs/drills/ made from them."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from tests.drills.drill import Cell, Drill
from tests.lab.machine import write

PROJECT = Path(__file__).resolve().parents[2]
STATE = PROJECT / ".signalbox" / "drills"
DOCS = PROJECT / "docs" / "drills"
# What a result depends on: a cell that passed with these files as they are need not run again.
CODE = (
    "deploy.py", "group_data", "signalbox", "tasks", "templates", "scripts", "Makefile", "pyproject.toml", "uv.lock",
    "tests/lab", "tests/drills", "tests/demo.py", "tests/demo",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """How a cell went. error: "" when it passed. date: UTC, ISO 8601. code: hash of the files it depends on."""

    drill: str
    cell: str
    error: str
    figures: dict[str, str]
    seconds: float
    commit: str
    code: str
    date: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d %H:%M"))

    @property
    def passed(self) -> bool:
        """Whether the cell showed what it must."""
        return not self.error


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=PROJECT, check=True, capture_output=True, text=True).stdout


@cache
def code() -> str:
    """Return the hash of all files in CODE as they are now, committed or not."""
    digest = hashlib.sha256()
    for name in sorted(_git("ls-files", "-co", "--exclude-standard", "--", *CODE).splitlines()):
        path = PROJECT / name
        if path.is_file():
            digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


@cache
def commit() -> str:
    """Return the short id of the commit, with a "+" when files in CODE differ from it."""
    return _git("rev-parse", "--short", "HEAD").strip() + ("+" if _git("status", "--porcelain", "--", *CODE) else "")


def _path(cell: Cell) -> Path:
    return STATE / cell.drill / f"{cell.name}.json"


def log(cell: Cell) -> Path:
    """Return the file that holds the traceback of a cell that failed."""
    return STATE / cell.drill / f"{cell.name}.log"


def save(cell: Cell, *, error: str, figures: dict[str, Any], seconds: float) -> Result:
    """Keep and return the result of a cell that has just run."""
    told = {key: f"{value:.1f}" if isinstance(value, float) else str(value) for key, value in figures.items()}
    result = Result(cell.drill, cell.name, error, told, round(seconds, 1), commit(), code())
    write(_path(cell), json.dumps(asdict(result), indent=1) + "\n")
    return result


def last(cell: Cell) -> Result | None:
    """Return the last result of a cell, whatever the code was."""
    try:
        return Result(**json.loads(_path(cell).read_text()))
    except FileNotFoundError:
        return None


def done(cell: Cell) -> bool:
    """Return whether the cell has passed with the code as it is."""
    result = last(cell)
    return result is not None and result.passed and result.code == code()


def publish(drill: Drill) -> Path | None:
    """Write docs/drills/<name>.md, and return its path; None without a result here. Other rows stay as they are.

    The one place that writes tables: a run of `make test` leaves them as they are.
    """
    path = DOCS / f"{drill.name}.md"
    before = {line.split(" | ")[0].removeprefix("| "): line for line in _table(path)}
    rows = [(cell, last(cell)) for cell in drill.cells.values()]
    if not any(result for _, result in rows):
        return None
    lines = [
        f"# {drill.name}: {drill.title}",
        "",
        f"It must show: {drill.shows}",
        "",
        f"Run again with `make drill NAME={drill.name}`. A `+` after a commit: with changes that were not committed.",
        "",
        "| cell | shows | result | seen | seconds | date (UTC) | commit |",
        "| --- | --- | --- | --- | ---: | --- | --- |",
    ]
    for cell, result in rows:
        if result is None:
            lines.append(before.get(cell.name, f"| {cell.name} | {cell.title} | not yet | | | | |"))
            continue
        seen = "; ".join(f"{key}: {value}" for key, value in result.figures.items())
        word = "passed" if result.passed else f"**failed**: {result.error.splitlines()[0]}"
        values = (cell.name, cell.title, word, seen, f"{result.seconds:.0f}", result.date, result.commit)
        lines.append(row(values))
    write(path, "\n".join(lines) + "\n")
    if drill.rows:
        drill.rows()
    return path


def sections(path: Path) -> dict[str, list[str]]:
    """Return the rows of a page by its headings: those of a cell that has not run here stay, as they were."""
    found: dict[str, list[str]] = {}
    rows: list[str] = []
    for line in path.read_text().splitlines() if path.exists() else ():
        if line.startswith("## "):
            rows = found.setdefault(line.removeprefix("## "), [])
        elif line.startswith("| ") and not line.startswith("| ---"):
            rows.append(line)
    return {heading: rows[1:] for heading, rows in found.items()}  # without the names of the columns


def write_sections(path: Path, head: Sequence[str], tables: Mapping[str, tuple[str, Sequence[str]]]) -> None:
    """Write a page: a head, then each heading with the names of its columns ("a | b") and its rows."""
    lines = list(head)
    for heading, (columns, rows) in tables.items():
        rule = " | ".join("---" for _ in columns.split(" | "))
        lines += ["", f"## {heading}", "", f"| {columns} |", f"| {rule} |", *rows]
    write(path, "\n".join(lines) + "\n")


def row(values: Iterable[str]) -> str:
    """Return a row of a table."""
    return "| " + " | ".join(value.replace("|", "\\|").replace("\n", " ") for value in values) + " |"


def _table(path: Path) -> list[str]:
    """Return the rows of a table as it is: a committed result stays until its cell is run again."""
    return [line for line in path.read_text().splitlines() if line.startswith("| ")] if path.exists() else []

"""The controller's own records of deploys: a line a host and run, in `history.jsonl`.

A run that is under way has its lines, as those of a run that was interrupted, in a file of its own with a lock on it.
Where that lock is free the run was killed, and whoever looks next takes the lines over.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from signalbox.untrusted import json_of

Record = dict[str, Any]

_RECORD_BYTES = 256 * 1024
_BYTES = 1_000_000  # then the file begins anew, and what it was is history.jsonl.1


def state_directory() -> Path:
    """Return this project's directory for what the controller keeps between runs."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "signalbox"


def begin(run: str, records: list[Record]) -> IO[str]:
    """Note a run that begins, with the records that it leaves if it is killed. Raises OSError."""
    directory = state_directory() / "running"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    _take_over()
    file = (directory / f"{run}.jsonl").open("w")
    fcntl.flock(file, fcntl.LOCK_EX)
    file.write(_lines(records))
    file.flush()
    return file


def end(running: IO[str], records: list[Record]) -> None:
    """Keep the records of a run that has ended in place of those that it began with. Raises OSError."""
    with running:
        _append(_lines(records))
        Path(running.name).unlink(missing_ok=True)


def read() -> list[Record]:
    """Return all records, the oldest first."""
    with suppress(OSError):  # somebody else's, who may not be written for
        _take_over()
    records = []
    for path in (_path().with_suffix(".jsonl.1"), _path()):
        for line in path.read_text(errors="replace").splitlines() if path.exists() else ():
            with suppress(ValueError):  # a line that a crash has cut off
                records.append(json_of(line, max_bytes=_RECORD_BYTES))
    return [record for record in records if isinstance(record, dict)]


def _path() -> Path:
    return state_directory() / "history.jsonl"


def _lines(records: list[Record]) -> str:
    return "".join(f"{json.dumps(record)}\n" for record in records)


def _append(lines: str) -> None:
    path = _path()
    if path.exists() and path.stat().st_size > _BYTES:
        path.replace(path.with_suffix(".jsonl.1"))
    with path.open("a") as file:
        file.write(lines)


def _take_over() -> None:
    """Keep the records of runs that were killed."""
    for path, file in _abandoned():
        _append(file.read())
        path.unlink(missing_ok=True)


def _abandoned() -> Iterator[tuple[Path, IO[str]]]:
    for path in sorted((state_directory() / "running").glob("*.jsonl")):
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # it runs
            if path.exists():
                yield path, file

"""requests.jsonl, the audit's file, and what lies beside it: written by every gateway that serves at the moment."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .request_record import Record

DIRECTORY = os.environ.get("SIGNALBOX_AUDIT", "/signalbox/audit")
FILE = "requests.jsonl"
MAX_BYTES = int(os.environ.get("SIGNALBOX_AUDIT_MIB", "16")) << 20  # then requests.1.jsonl, .2, …
OLD_FILES = int(os.environ.get("SIGNALBOX_AUDIT_FILES", "8"))


def write(record: Record) -> None:
    """Append a line. What cannot be written is told in the log, and the request is served all the same."""
    path = os.path.join(DIRECTORY, FILE)
    try:
        # Opened anew each time: another gateway, one that drains, may have rotated the file.
        with open(path, "a", opener=lambda name, flags: os.open(name, flags, 0o640)) as file:
            file.write(json.dumps(record) + "\n")
            full = file.tell() > MAX_BYTES
        if full:
            rotate(path)
    except OSError as error:
        print(f"signalbox: the audit cannot be written: {error}", file=sys.stderr, flush=True)


def put(name: str, text: str, directory: str = DIRECTORY) -> None:
    """Have a file beside the audit hold this, whole or as it was. Raises OSError."""
    path = os.path.join(directory, name)
    new = f"{path}.{os.getpid()}.new"  # another gateway, one that drains, may write its own
    with open(new, "w", opener=lambda name, flags: os.open(name, flags, 0o640), encoding="utf-8") as file:
        file.write(text)
    os.replace(new, path)


def rotate(path: str) -> None:
    """Move the file aside, and each older one a number up; the oldest goes."""
    stem = path.removesuffix(".jsonl")
    directory = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        if os.path.getsize(path) <= MAX_BYTES:
            return  # another gateway was faster
        for number in range(OLD_FILES, 0, -1):
            older = path if number == 1 else f"{stem}.{number - 1}.jsonl"
            with contextlib.suppress(FileNotFoundError):
                os.replace(older, f"{stem}.{number}.jsonl")
    finally:
        os.close(directory)

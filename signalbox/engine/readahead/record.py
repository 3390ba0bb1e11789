"""The record of a deploy on a host: the questions of its last run, in their order.

It is code that will run on the host with the deploy's privileges, so it is treated as such: it lies in the user's
own state directory, nobody else may own it or read it, it is bounded, and every part of it is checked.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from signalbox.engine.readahead.question import MAX_COMMAND, Privileges, Question

MAX_ENTRIES = 1000
MAX_BYTES = 512 * 1024


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Entry(_Strict):
    command: Annotated[str, Field(min_length=1, max_length=MAX_COMMAND, pattern=r"^[^\x00]*$")]
    sudo: bool
    sudo_user: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_.-]{0,31}\$?$")] | None


class _Record(_Strict):
    version: Literal[1]  # of this format
    host: str
    deploy: str
    questions: Annotated[list[_Entry], Field(max_length=MAX_ENTRIES)]


class Record:
    """The record of one deploy (its file's absolute path) on one host (its name in the inventory)."""

    def __init__(self, host: str, deploy: str) -> None:
        self.host, self.deploy = host, deploy
        state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        name = hashlib.sha256(f"{host}\0{deploy}".encode()).hexdigest()[:32]
        self.path = Path(state).expanduser() / "signalbox" / "readahead" / f"{name}.json"

    def load(self) -> list[Question]:
        """Return the questions; [] where there is no record, or one that is not wholly as we would have left it."""
        try:
            self._check_directory()
            found = _Record.model_validate_json(_own_private_bytes(self.path))
        except (OSError, ValidationError):
            return []
        if (found.host, found.deploy) != (self.host, self.deploy):
            return []
        return [Question(entry.command, Privileges(entry.sudo, entry.sudo_user)) for entry in found.questions]

    def save(self, questions: list[Question]) -> None:
        """Replace the record, whole or not at all; what does not fit is left out, what cannot be written is lost."""
        entries: list[_Entry] = []
        size = 0
        for each in questions[:MAX_ENTRIES]:
            with suppress(ValidationError):
                entry = _Entry(command=each.command, sudo=each.privileges.sudo, sudo_user=each.privileges.sudo_user)
                # With room for the rest of the file.
                if (size := size + len(entry.model_dump_json()) + 2) > MAX_BYTES - 8192:
                    break
                entries.append(entry)
        record = _Record(version=1, host=self.host, deploy=self.deploy, questions=entries)
        with suppress(OSError):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_directory()
            with tempfile.NamedTemporaryFile("w", dir=self.path.parent, delete=False) as new:  # mode 0600
                new.write(record.model_dump_json(indent=1))
            try:
                os.replace(new.name, self.path)
            except OSError:
                os.unlink(new.name)

    def _check_directory(self) -> None:
        found = self.path.parent.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError(f"{self.path.parent} is not ours alone to write")


def _own_private_bytes(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        private = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
        if not private or found.st_nlink != 1 or found.st_size > MAX_BYTES:
            raise PermissionError(f"{path} is not a file of ours alone")
        return file.read(MAX_BYTES)

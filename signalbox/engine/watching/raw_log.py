"""All that pyinfra says of a run, kept in a file: what a screen has no place for is there. Secrets are not."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from signalbox.engine.history import state_directory
from signalbox.host.shared.output import shown

_KEPT = 30  # files; the oldest go
_BYTES = 8 * 1024 * 1024  # of one
_SHORT = 6  # letters below which a word is no secret that can be told from others
_HIDDEN = "*****"

_secrets: set[str] = set()


def hide(values: Iterable[str]) -> None:
    """Have these values never shown, wherever a host says them again."""
    _secrets.update(value for value in values if len(value) >= _SHORT)


def hidden(text: str) -> str:
    """Return a text without the values that were given to `hide`."""
    for value in sorted(_secrets, key=len, reverse=True):
        text = text.replace(value, _HIDDEN)
    return text


class RawLog:
    """The file of one run, its owner's alone. Whatever goes wrong with it, the run goes on without.

    path: None where there could be none.
    """

    def __init__(self) -> None:
        directory = state_directory() / "logs"
        self.path: Path | None = directory / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}.log"
        self._left = _BYTES
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
            self._file = open(os.open(self.path, flags, 0o600), "a", encoding="utf-8", buffering=1)  # noqa: SIM115
        except OSError:
            self.path = None
            return
        for old in sorted(directory.glob("*.log"))[:-_KEPT]:
            with suppress(OSError):
                old.unlink()

    def write(self, text: str) -> None:
        """Add a text, with the time of day; its further lines are set in."""
        if self.path is None or self._left <= 0:
            return
        line = f"{datetime.now():%H:%M:%S} {hidden(shown(text, lines=True))}".replace("\n", "\n         ") + "\n"
        self._left -= len(line)
        with suppress(OSError, ValueError):
            self._file.write(line if self._left > 0 else "(the rest is left out: the log is full)\n")

    def close(self) -> None:
        """End it."""
        if self.path is not None:
            with suppress(OSError):
                self._file.close()

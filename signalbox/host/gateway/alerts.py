"""Has claude-doctor look at once when somebody is billed again and again for one cause, or a budget comes to its end.

It changes the file `look` beside the audit, which a path unit of the service user waits for.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable

from ..shared.thresholds import LATELY, NEARLY, OFTEN
from . import audit_file, budget
from .request_record import Record

FILE = "look"


class Alerts:
    """What has been seen lately. now: a clock of seconds."""

    def __init__(self, ledger: budget.Ledger = budget.ledger, now: Callable[[], float] = time.monotonic) -> None:
        self._ledger, self._now = ledger, now
        self._seen: dict[
            tuple[str, str | None], deque[float]
        ] = {}  # (who failed, why): when it was billed in its place
        self._told: set[tuple[str, str, str, float]] = set()  # of each budget, in each period: how far it was told

    def begin(self) -> None:
        """Have the file there from the start: systemd misses one that comes and is closed at once."""
        with contextlib.suppress(OSError), open(self._path(), "a", encoding="ascii"):
            pass

    def wrote(self, record: Record) -> None:
        """Take note of a line of the audit, which has been counted."""
        if self._again(record) or self._spent():
            with contextlib.suppress(OSError), open(self._path(), "w", encoding="ascii") as file:
                file.write(f"{record['time']}\n")

    def _path(self) -> str:
        return os.path.join(audit_file.DIRECTORY, FILE)

    def _again(self, record: Record) -> bool:
        if not record["fallback"] or record["cost_usd"] == 0 or record["backend"] is None:
            return False
        now = self._now()
        seen = self._seen.setdefault((record["fallback"], record["error_class"]), deque(maxlen=OFTEN))
        seen.append(now)
        again = len(seen) == OFTEN and now - seen[0] <= LATELY
        if again:
            seen.clear()
        return again

    def _spent(self) -> bool:
        marks: set[tuple[str, str, str, float]] = {
            (each["of"], each["name"], each["since"], mark)
            for each in self._ledger.told()
            for mark in (NEARLY, 1.0)
            if each["spent"] >= each["usd"] * mark
        }
        new = marks - self._told
        self._told = marks
        return bool(new)


plugin = Alerts()

"""Has claude-doctor look at once when somebody is billed again and again for one cause, or a budget comes to its end.

It changes the file `look` beside the audit, which a path unit of the service user waits for.
"""

import contextlib
import os
import time
from collections import deque

from . import audit, budget

FILE = "look"
OFTEN, LATELY = 3, 600.0  # so many answers in so many seconds
NEARLY = 0.8  # of a budget


class Attention:
    """What has been seen lately. now: a clock of seconds."""

    def __init__(self, ledger=budget.ledger, now=time.monotonic):
        self._ledger, self._now = ledger, now
        self._seen = {}  # (model that failed, why): when it was billed in its place
        self._told = set()  # of each budget, in each period: how far it was told

    def begin(self):
        """Have the file there from the start: systemd misses one that comes and is closed at once."""
        with contextlib.suppress(OSError), open(os.path.join(audit.DIRECTORY, FILE), "a", encoding="ascii"):
            pass

    def wrote(self, record):
        """Take note of a line of the audit, which has been counted."""
        if self._again(record) or self._spent():
            with contextlib.suppress(OSError), open(os.path.join(audit.DIRECTORY, FILE), "w", encoding="ascii") as file:
                file.write(f"{record['time']}\n")

    def _again(self, record):
        if not record["fallback"] or record["cost_usd"] == 0 or record["backend"] is None:
            return False
        now = self._now()
        seen = self._seen.setdefault((record["fallback"], record["error_class"]), deque(maxlen=OFTEN))
        seen.append(now)
        again = len(seen) == OFTEN and now - seen[0] <= LATELY
        if again:
            seen.clear()
        return again

    def _spent(self):
        marks = {
            (each["of"], each["name"], each["since"], mark)
            for each in self._ledger.told()
            for mark in (NEARLY, 1.0)
            if each["spent"] >= each["usd"] * mark
        }
        new = marks - self._told
        self._told = marks
        return bool(new)


plugin = Attention()

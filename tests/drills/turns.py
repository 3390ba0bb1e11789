"""Whose turn it is: of which drills `make test` runs the fixed cell on a day.

Every day's, unless it takes longer than about 20 s on a converged host. Those come round, each once in PERIOD days.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta

from tests.drills.drill import NAMES

PERIOD = 4  # days
QUICK_SECONDS = 20

# Seconds of a fixed cell on a converged host with two cores; real_model's with llama.cpp still to be fetched.
LONG = {
    "real_model": 280, "demo": 80, "pull": 50, "swap": 42, "interrupted": 36, "reboot": 33, "failover": 30,
    "hardening": 27,
}  # fmt: skip


def today() -> date:
    """Return the day (UTC), or the one that SIGNALBOX_DAY names as 2026-11-30. ValueError when that is no day."""
    given = os.environ.get("SIGNALBOX_DAY")
    if not given:
        return datetime.now(UTC).date()
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise ValueError(f"SIGNALBOX_DAY: {given!r} is no day; write one like {date(2026, 11, 30)}") from None


def on(day: date) -> tuple[str, ...]:
    """Return the drills of a day, in order. The longest of the long ones are on different days."""
    slowest_first = sorted(LONG, key=LONG.__getitem__, reverse=True)
    turn = slowest_first[day.toordinal() % PERIOD :: PERIOD]
    return tuple(name for name in NAMES if name not in LONG or name in turn)


def following(name: str, day: date) -> date:
    """Return the first day from `day` on that is this drill's turn."""
    days = (day + timedelta(ahead) for ahead in range(PERIOD))
    return next(each for each in days if name in on(each))

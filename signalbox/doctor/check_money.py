"""Checks of what is billed: the budgets, and whether a cloud stands in again and again for the same cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from . import audit, budgets
from .check import Finding, check
from .here import AGENT, Here

LATELY = timedelta(minutes=10)
OFTEN = 3  # times


@check(AGENT, needs=("lane-records",))
def spending(here: Here) -> Iterator[Finding]:
    """No budget is nearly used up, and nobody is billed again and again in a local model's place"""
    path = here.expected["lanes"].get("audit")
    if not path:
        return
    for each in budgets.read(Path(path)):
        if each.nearly:
            yield Finding("budget-nearly" if each.left else "budget-used-up", str(each), subjects=(each.of, each.name))
    since = datetime.now(UTC) - LATELY
    several = Counter(
        (entry["fallback"], entry.get("error_class"))
        for entry in audit.newest(Path(path))
        if audit.failed_over(entry) and entry.get("cost_usd") != 0 and datetime.fromisoformat(entry["time"]) >= since
    )
    for (model, why), times in several.items():
        if times >= OFTEN:
            said = f"{times} answers of the last ten minutes were billed in place of {model}: {why}"
            yield Finding("billed-again", said, subjects=(model, str(why)))

"""Checks of what is billed: the budgets, and whether a cloud stands in again and again for the same cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..shared import audit, budgets
from ..shared.thresholds import LATELY, OFTEN
from .check import Finding, check
from .host_context import AGENT, Here


@check(AGENT, needs=("lane-records",))
def spending(here: Here) -> Iterator[Finding]:
    """No budget is nearly used up, and nobody is billed again and again in a local model's place"""
    path = here.expected["lanes"].get("audit")
    if not path:
        return
    for each in budgets.read(Path(path)):
        if each.nearly:
            yield Finding("budget-nearly" if each.left else "budget-used-up", str(each), subjects=(each.of, each.name))
    for (model, why), times in _billed(Path(path)).items():
        if times >= OFTEN:
            said = f"{times} answers of the last ten minutes were billed in place of {model}: {why}"
            yield Finding("billed-again", said, subjects=(model, str(why)))


def _billed(path: Path) -> Counter[tuple[str, str | None]]:
    """Return how often somebody was billed in a model's place lately, for one cause, since it last answered itself."""
    since = datetime.now(UTC) - timedelta(seconds=LATELY)
    several: Counter[tuple[str, str | None]] = Counter()
    for entry in audit.newest(path):
        if audit.unanswered(entry) or datetime.fromisoformat(entry["time"]) < since:
            continue
        if not audit.failed_over(entry):
            several = Counter({each: times for each, times in several.items() if each[0] != entry.get("asked")})
        elif entry.get("cost_usd") != 0:
            several[entry["fallback"], entry.get("error_class")] += 1
    return several

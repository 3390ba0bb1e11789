"""What is left of the budgets, as the gateway has counted: budgets.json beside its audit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import within
from .thresholds import NEARLY

FILE = "budgets.json"


@dataclass(frozen=True)
class Budget:
    """So many USD in such a period, of which so many are spent. of: "all", "lane" or "cloud", with its name."""

    of: str
    name: str
    usd: float
    per: str
    spent: float

    @property
    def left(self) -> float:
        """USD, never less than none."""
        return max(0.0, self.usd - self.spent)

    @property
    def nearly(self) -> bool:
        """Whether most of it is spent."""
        return self.spent >= self.usd * NEARLY

    def __str__(self) -> str:
        whose = {"all": "this host", "lane": f"lane {self.name}", "cloud": self.name}[self.of]
        return f"{self.spent:.2f} of {self.usd:g} USD of this {self.per}'s budget of {whose} are spent"


def read(audit: Path) -> Iterator[Budget]:
    """Yield the budgets that stand beside this audit; none where there is no such file, or what is in it is none."""
    try:
        found: Any = within.json_of(within.text_of(audit.with_name(FILE)))
        for each in found["budgets"]:
            of, name, per = str(each["of"]), str(each["name"]), str(each["per"])
            usd, spent = float(each["usd"]), float(each["spent"])
            if of in ("all", "lane", "cloud") and math.isfinite(usd) and math.isfinite(spent):
                yield Budget(of, name, usd, per, spent)
    except (OSError, ValueError, KeyError, TypeError):
        return


def of_lane(audit: Path, lane: str) -> Budget | None:
    """Return the budget of which this lane has the least left, of its own and the host's; None: it has none."""
    mine = [each for each in read(audit) if each.of == "all" or (each.of, each.name) == ("lane", lane)]
    return min(mine, key=lambda each: each.left, default=None)

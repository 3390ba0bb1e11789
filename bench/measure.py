"""Interleaved rounds: what slows the machine for a while slows every contender, so ratios of medians can be trusted."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
LIMIT_SECONDS = 1200


@dataclass(frozen=True)
class Racer:
    """A contender: a command that must end well. `before` is not measured; `check` raises unless its output is good.

    slow: takes part in every second round.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: str = ""
    before: Callable[[], object] | None = None
    check: Callable[[str], object] | None = None
    slow: bool = False

    def run(self) -> tuple[float, float]:
        """Run once; return the seconds of wall clock and of this machine's processor."""
        if self.before:
            self.before()
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PYINFRA_", "ANSIBLE_"))}
        inherited.pop("PYTHONDONTWRITEBYTECODE", None)  # a person's Python keeps its bytecode
        began, cpu = time.perf_counter(), os.times()
        done = subprocess.run(
            self.command,
            env={**inherited, "PYINFRA_PROGRESS": "off", **self.environment},
            input=self.stdin,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        ended, after = time.perf_counter(), os.times()
        if done.returncode:
            raise RuntimeError(
                f"{self.name} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
            )
        if self.check:
            self.check(done.stdout)
        spent = after.children_user + after.children_system - cpu.children_user - cpu.children_system
        return ended - began, spent


@dataclass(frozen=True)
class Result:
    """Medians of one racer, in seconds, and the fastest round."""

    name: str
    seconds: float
    fastest: float
    cpu: float
    rounds: int


def race(racers: Sequence[Racer], rounds: int, tell: Callable[[str], object], *, warm: bool = True) -> list[Result]:
    """Run every racer once a round, in turn; warm: a first round before these warms caches and does not count."""
    taken: dict[str, list[tuple[float, float]]] = {racer.name: [] for racer in racers}
    for number in range(0 if warm else 1, rounds + 1):
        for racer in racers:
            if racer.slow and number % 2 == 0:
                continue
            seconds = racer.run()
            if number:
                taken[racer.name].append(seconds)
            tell(f"round {number} of {rounds}: {racer.name}: {seconds[0]:.2f} s")
    return [
        Result(
            name,
            round(statistics.median(wall for wall, _ in values), 3),
            round(min(wall for wall, _ in values), 3),
            round(statistics.median(cpu for _, cpu in values), 3),
            len(values),
        )
        for name, values in taken.items()
    ]

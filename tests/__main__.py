"""Runs the tiers of the tests, cheapest first, and tells the time of each: `make check`, `make test`, CI."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

PROJECT = Path(__file__).resolve().parent.parent

Command = tuple[str, ...]


def _pytest(folder: str, *options: str) -> tuple[Command, ...]:
    return ((sys.executable, "-m", "pytest", f"tests/{folder}", "--durations=5", "--durations-min=5", *options),)


def _module(*words: str) -> Command:
    return (sys.executable, "-m", *words)


# Three workers for two cores, because many tests wait; those of one file stay together, for they share fixtures.
ON_ALL_CORES = ("-n", str(3 * (os.cpu_count() or 2) // 2), "--dist", "loadfile")

# name: what it proves, and its commands; -s where one test takes long, to show its progress
TIERS: dict[str, tuple[str, tuple[Command, ...]]] = {
    "lint": (
        "ruff, mypy --strict, import-linter and the site's links find nothing",
        (
            _module("ruff", "check"),
            _module("ruff", "format", "--check"),
            _module("mypy"),
            (str(Path(sys.executable).with_name("lint-imports")), "--no-logo"),
            _module("mkdocs", "build", "--strict"),
        ),
    ),
    "unit": ("each part by itself", _pytest("unit", *ON_ALL_CORES)),
    "render": ("rendered files are the golden ones", _pytest("render")),
    "plan": (
        "the whole deploy is planned against simulated hosts",
        (*_pytest("plan", *ON_ALL_CORES), *_pytest("patched")),
    ),
    "lab": ("real Debian hosts, model servers and mirror work", _pytest("lab", "-s")),
    "drills": ("one cell of every drill, on real hosts", _pytest("drills", "-s", "-rs")),
}

# those of `make check`: they need no lab hosts
QUICK = ("lint", "unit", "render", "plan")


@dataclass(frozen=True)
class Result:
    """How one tier went, in `seconds` of wall clock."""

    tier: str
    passed: bool
    seconds: float


def run(tier: str) -> Result:
    """Run one tier, all its commands even if one fails."""
    started = time.monotonic()
    ended = [subprocess.run(command, cwd=PROJECT, check=False).returncode for command in TIERS[tier][1]]
    return Result(tier, not any(ended), time.monotonic() - started)


def announce(tier: str) -> None:
    """Print the rule above a tier's output."""
    Console(stderr=True, highlight=False).rule(f"{tier}: {TIERS[tier][0]}", align="left")


def table(results: Sequence[Result], seconds: float) -> Table:
    """Return the closing summary; `seconds` is what all took."""
    summary = Table("tier", "what", "result", "seconds", box=None)
    summary.columns[3].justify = "right"
    for result in results:
        word = "[green]passed[/]" if result.passed else "[red]failed[/]"
        summary.add_row(result.tier, TIERS[result.tier][0], word, f"{result.seconds:.1f}")
    summary.add_row("", "", "", f"{seconds:.1f}")
    return summary


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--tier",
    "tiers",
    multiple=True,
    type=click.Choice(list(TIERS)),
    help="Only this tier; may be given again. Without it: all, in this order.",
)
@click.option("--quick", is_flag=True, help=f"Only what needs no lab hosts and little time, of {', '.join(QUICK)}.")
@click.option("-x", "--fail-fast", is_flag=True, help="Stop at the first tier that fails.")
def main(tiers: Sequence[str], quick: bool, fail_fast: bool) -> None:
    """Run the tests, tier by tier; exit status 1 if any failed.

    \b
    python -m tests                     everything (lab and drills need root on Debian 12 or 13)
    python -m tests --quick             what needs no lab hosts, as `make check` does
    python -m tests --tier unit         one tier
    python -m pytest tests/unit -k ssh  one test
    """
    names = tiers or (QUICK if quick else tuple(TIERS))
    if quick:
        os.environ.setdefault("SIGNALBOX_HYPOTHESIS", "quick")
        os.environ["PYTEST_ADDOPTS"] = "-m 'not slow'"
    results: list[Result] = []
    started = time.monotonic()
    for name in names:
        announce(name)
        results.append(run(name))
        if fail_fast and not results[-1].passed:
            break
    Console(highlight=False).print(table(results, time.monotonic() - started))
    sys.exit(0 if all(result.passed for result in results) else 1)


if __name__ == "__main__":
    main(prog_name="python -m tests")

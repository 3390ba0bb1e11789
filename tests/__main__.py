"""Runs the tiers of the tests, cheapest first, and tells the time of each: what `make test` and CI run."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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


# name: what it proves, and its commands; -s where one test takes long, to show its progress
TIERS: dict[str, tuple[str, tuple[Command, ...]]] = {
    "lint": (
        "ruff and mypy --strict find nothing",
        (_module("ruff", "check"), _module("ruff", "format", "--check"), _module("mypy")),
    ),
    "unit": ("each part by itself", _pytest("unit")),
    "render": ("rendered files are the golden ones", _pytest("render")),
    "plan": ("the whole deploy is planned against simulated hosts", _pytest("plan")),
    "lab": ("real Debian hosts, model servers and mirror work", _pytest("lab", "-s")),
    "drills": ("one cell of every drill, on real hosts", _pytest("drills", "-s")),
}

# run beside "unit", which keeps one core busy as they do; their output comes when unit's has ended
BESIDE_UNIT = ("render", "plan")


@dataclass(frozen=True)
class Result:
    """How one tier went; `seconds` of wall clock, and its `output` unless that has been shown as it came."""

    tier: str
    passed: bool
    seconds: float
    output: bytes = b""


def run(tier: str, *, quietly: bool = False) -> Result:
    """Run one tier, all its commands even if one fails; `quietly`: its output is kept, not shown as it comes."""
    started = time.monotonic()
    kept, errors = (subprocess.PIPE, subprocess.STDOUT) if quietly else (None, None)
    ended = [
        subprocess.run(command, cwd=PROJECT, check=False, stdout=kept, stderr=errors) for command in TIERS[tier][1]
    ]
    passed = all(command.returncode == 0 for command in ended)
    return Result(tier, passed, time.monotonic() - started, b"".join(command.stdout or b"" for command in ended))


def run_beside(tier: str, others: Sequence[str]) -> Iterator[Result]:
    """Run one tier, and meanwhile the `others`, one after another, whose output is shown after the first's."""
    with ThreadPoolExecutor(1) as pool:
        meanwhile = [pool.submit(run, other, quietly=True) for other in others]
        yield run(tier)
        for other in meanwhile:
            result = other.result()
            announce(result.tier)
            sys.stdout.buffer.write(result.output)
            sys.stdout.flush()
            yield result


def announce(tier: str) -> None:
    """Print the rule above a tier's output."""
    Console(stderr=True, highlight=False).rule(f"{tier}: {TIERS[tier][0]}", align="left")


def table(results: Sequence[Result], seconds: float) -> Table:
    """Return the closing summary; `seconds` is what all took, of which some was spent side by side."""
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
@click.option("-x", "--fail-fast", is_flag=True, help="Stop at the first tier that fails.")
def main(tiers: Sequence[str], fail_fast: bool) -> None:
    """Run the tests, tier by tier; exit status 1 if any failed.

    \b
    python -m tests                     everything (lab and drills need root on Debian 12 or 13)
    python -m tests --tier unit         one tier
    python -m pytest tests/unit -k ssh  one test
    """
    names = list(tiers or TIERS)
    beside = [name for name in names if name in BESIDE_UNIT and "unit" in names]
    results: list[Result] = []
    started = time.monotonic()
    for name in names:
        if name in beside:
            continue
        announce(name)
        results += run_beside(name, beside) if name == "unit" else [run(name)]
        if fail_fast and not all(result.passed for result in results):
            break
    Console(highlight=False).print(table(results, time.monotonic() - started))
    sys.exit(0 if all(result.passed for result in results) else 1)


if __name__ == "__main__":
    main(prog_name="python -m tests")

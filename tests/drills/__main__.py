"""The drills on the command line: what `make drill` runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table

from tests.drills import record, turns
from tests.drills.drill import NAMES, Cell, Drill, load
from tests.drills.run import run
from tests.drills.stage import Stage
from tests.lab.machine import LabError, progress, require_machine


def _chosen(drills: Sequence[Drill], names: Sequence[str]) -> list[Cell]:
    cells = [cell for drill in drills for cell in drill.cells.values()]
    unknown = set(names) - {cell.name for cell in cells}
    if unknown:
        known = ", ".join(cell.name for cell in cells)
        raise click.UsageError(f"no cell {', '.join(sorted(unknown))} in these drills; there are {known}")
    return [cell for cell in cells if not names or cell.name in names]


def _turn(drill: str) -> str:
    return f"every {turns.PERIOD} days" if drill in turns.LONG else "every day"


def _list(drills: Sequence[Drill], as_json: bool) -> None:
    rows = [
        {
            "drill": cell.drill,
            "cell": cell.name,
            "shows": cell.title,
            "in_make_test": cell.fixed and _turn(cell.drill),
            "passed": record.done(cell),
        }
        for drill in drills
        for cell in drill.cells.values()
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    table = Table("drill", "cell", "shows", "in make test", "passed with this code", box=None)
    for row in rows:
        table.add_row(*(("yes" if value else "") if isinstance(value, bool) else str(value) for value in row.values()))
    Console().print(table)


def _summary(results: Sequence[record.Result]) -> Table:
    table = Table("drill", "cell", "result", "seen", "seconds", box=None)
    table.columns[4].justify = "right"
    for result in results:
        seen = "; ".join(f"{key}: {value}" for key, value in result.figures.items())
        word, text = ("[green]passed[/]", seen) if result.passed else ("[red]failed[/]", result.error[:600])
        table.add_row(result.drill, result.cell, word, text.replace("[", r"\["), f"{result.seconds:.0f}")
    return table


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, type=click.Choice(NAMES), metavar="[DRILL...]")
@click.option("--cell", "cells", multiple=True, metavar="NAME", help="Only this cell; may be given again.")
@click.option("--again", is_flag=True, help="Also run cells that have passed with the code as it is.")
@click.option("--list", "only_list", is_flag=True, help="List drills and cells, and run nothing.")
@click.option("--keep", is_flag=True, help="Leave the hosts up, to look at them (SIGNALBOX_LAB=drills).")
@click.option("--json", "as_json", is_flag=True, help="Results, or the list, as JSON on stdout.")
def main(names: Sequence[str], cells: Sequence[str], again: bool, only_list: bool, keep: bool, as_json: bool) -> None:
    """Run drills on real lab hosts and write their tables to docs/drills/. Needs root.

    What has passed with the code as it is, is not run again, so a run that was broken off goes on where it was.
    Exit status 1 if a cell failed.

    \b
    python -m tests.drills                        all drills
    python -m tests.drills reboot fleet           two of them
    python -m tests.drills converged --cell unit  one cell

    SIGNALBOX_DRILLS=x (at most 4 of a-z and 0-9) names the lab xdrills, so that two runs do not meet.
    """
    drills = [load(name) for name in names or NAMES]
    if only_list:
        _list(drills, as_json)
        return
    chosen = [cell for cell in _chosen(drills, cells) if again or not record.done(cell)]
    results = []
    try:
        require_machine()
        with Stage(keep=keep) as stage:
            for number, cell in enumerate(chosen, start=1):
                progress.rule(f"{number}/{len(chosen)} {cell.drill}: {cell.name}", align="left")
                results.append(run(cell, stage))
    except LabError as error:
        raise click.ClickException(str(error)) from error
    finally:
        published = [path for path in map(record.publish, drills) if path]
    if as_json:
        click.echo(json.dumps([result.__dict__ for result in results]))
    elif results:
        Console().print(_summary(results))
    progress.print(f"{len(chosen)} cells run; tables written: {', '.join(path.stem for path in published) or 'none'}")
    for result in results:
        if not result.passed:
            progress.print(f"why {result.drill} {result.cell} failed: {record.STATE / result.drill / result.cell}.log")
    sys.exit(0 if all(result.passed for result in results) else 1)


if __name__ == "__main__":
    main(prog_name="python -m tests.drills")

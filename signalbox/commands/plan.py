"""`signalbox plan`: what a deploy would change, with an exit status that a scheduler can trust."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

import click

from signalbox.commands.options import FILE, run_options
from signalbox.commands.wrong_usage import DriftCommand
from signalbox.console import (
    DRIFT,
    FAILED,
    OK,
    Failure,
    json_option,
    note,
    print_json,
    stderr,
    stdout,
    verbose_option,
    working,
)
from signalbox.engine.driver import drive
from signalbox.fleet.plan.report import examine
from signalbox.fleet.plan.text import junit, lines, summary

_STATUS = {"clean": OK, "drift": DRIFT, "unknown": FAILED}


@click.command(cls=DriftCommand)
@run_options
@click.option("--junit", "junit_file", type=FILE, metavar="FILE", help="Write JUnit XML for a CI service to FILE, too.")
@json_option
@verbose_option
def plan(
    inventory: str, deploy: str, selectors: list[str], junit_file: Path | None, as_json: bool, verbose: int
) -> None:
    """Tell what a deploy would change on the project's hosts, or on each HOST, and change nothing.

    It asks the hosts what a deploy with --dry asks, with the same selectors. A HOST is a name, a pattern or a group;
    files may come first, as pyinfra has them: another inventory.py, another deploy.py.

    \b
    Exit status: 0  every host was examined to the end, and is as wanted
                 2  every host was examined, and something would be changed
                 1  a host was not reached or not examined to the end, or something else went wrong

    It prints nothing when all is well, except with -v (each clean host) or -vv (pyinfra's own words, too).
    """
    tell = note if verbose > 1 else None
    try:
        with working("examining hosts") if stderr().is_terminal else nullcontext():
            report = examine(drive(inventory, deploy, ["--dry", *selectors], tell))
    except KeyboardInterrupt:
        note("interrupted: nothing is known of the hosts")
        sys.exit(FAILED)
    if junit_file:
        try:
            junit_file.write_text(junit(report))
        except OSError as error:
            raise Failure(f"cannot write {junit_file}: {error.strerror}") from None
    if as_json:
        print_json(report.to_json())
    else:
        for line in lines(report, everything=verbose > 0):
            stdout().print(line, soft_wrap=True)
        if verbose or report.verdict != "clean":
            note(summary(report))
    sys.exit(_STATUS[report.verdict])

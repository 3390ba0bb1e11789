"""`signalbox usage`: tokens and cost of a fleet."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

import click

from signalbox.commands import deploys
from signalbox.commands.options import FILE, fleet_options
from signalbox.console import (
    FAILED,
    Failure,
    json_option,
    note,
    print_json,
    stderr,
    stdout,
    working,
)
from signalbox.fleet import usage as engine
from signalbox.host.launcher import usage as rows_of
from signalbox.host.launcher import usage_page

_DEPLOY = str(Path(deploys.__file__).with_name("usage.py"))


@click.command()
@fleet_options
@click.option("--days", type=click.IntRange(0, 3650), default=0, help="Only the last so many days (0: all).")
@click.option("--html", "page", type=FILE, metavar="FILE", help="Write a page with charts to FILE, too.")
@json_option
def usage(inventory: str, selectors: list[str], days: int, page: Path | None, as_json: bool) -> None:
    """Add up tokens and cost of the project's hosts by day, lane and backend.

    The figures are those of the hosts' gateways; nothing is changed there.

    \b
    Exit status: 0  every host told
                 1  one could not be asked; what the others told is printed
    """
    try:
        with working("asking hosts") if stderr().is_terminal else nullcontext():
            hosts = engine.usage(_DEPLOY, inventory, selectors, days)
    except RuntimeError as error:
        raise Failure(str(error)) from None
    rows = rows_of.merged(row for host in hosts for row in host.rows)
    if page:
        page.write_text(usage_page.page(rows, f"Claude usage of {len(hosts)} hosts"), encoding="utf-8")
    if as_json:
        print_json({"rows": rows, "hosts": [host.__dict__ for host in hosts]})
    elif rows:
        for line in rows_of.table(rows):
            stdout().print(line, markup=False, highlight=False, soft_wrap=True)
    else:
        note("no request yet")
    for host in hosts:
        if host.problem:
            note(f"{host.host} was not asked: {host.problem}")
    sys.exit(FAILED if any(host.problem for host in hosts) else 0)

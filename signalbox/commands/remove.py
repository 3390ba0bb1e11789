"""`signalbox remove`: the project's remove.py, by pyinfra."""

from __future__ import annotations

import sys

import click

from signalbox.commands.options import fleet_options
from signalbox.console import verbose_option
from signalbox.engine.driver import run


@click.command()
@fleet_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask before changing hosts.")
@verbose_option
def remove(inventory: str, selectors: list[str], yes: bool, verbose: int) -> None:
    """Take Signalbox away from the project's hosts, or from each HOST; what it replaced comes back.

    What would go is shown first, and done after a yes. The service user's home stays, unless
    `--data remove.homes=true`. Exit status 1: a host failed.
    """
    sys.exit(run(inventory, "remove.py", [*selectors, *["-y"] * yes, *["-v"] * verbose]))

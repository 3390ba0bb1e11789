"""`signalbox deploy`: the project's deploy.py, by pyinfra."""

from __future__ import annotations

import sys

import click

from signalbox.commands.options import run_options
from signalbox.console import verbose_option
from signalbox.engine.driver import run


@click.command()
@run_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask before changing hosts.")
@verbose_option
def deploy(inventory: str, deploy: str, selectors: list[str], yes: bool, verbose: int) -> None:
    """Make the project's hosts, or each HOST, what their settings say.

    What would change is shown first, and done after a yes. It is `pyinfra inventory.py deploy.py`, whose other options
    are there in that form. Exit status 1: a host failed.
    """
    sys.exit(run(inventory, deploy, [*selectors, *["-y"] * yes, *["-v"] * verbose]))

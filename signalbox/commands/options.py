"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

from signalbox.console import Command
from signalbox.settings.layers import Layer, defaults, layers_of
from signalbox.settings.run import read_inventory

FILE = click.Path(dir_okay=False, path_type=Path)


def inventory_options(command: Command) -> Command:
    """`--inventory FILE` and `--host NAME`, as the parameters `inventory` and `host`; see read_layers."""
    command = click.option("--host", metavar="NAME", help="The host of that inventory; may be left out if it has one.")(
        command
    )
    return click.option(
        "--inventory", type=FILE, metavar="FILE", help="Read settings as they are for a host of this inventory."
    )(command)


def read_layers(inventory: Path | None, host: str | None) -> tuple[list[Layer], str]:
    """The layers of one host's settings and its name; of the defaults alone without an inventory."""
    if inventory is None:
        if host is not None:
            raise click.UsageError("--host needs --inventory FILE, the inventory it is in.")
        return [("group_data/all.py", defaults())], "group_data/all.py"
    if not inventory.exists():
        raise click.UsageError(f"--inventory: {inventory} does not exist.")
    loaded = read_inventory(inventory)
    names = list(loaded.hosts)
    if host is None and len(names) == 1:
        host = names[0]
    if host not in names:
        raise click.UsageError(f"--host: write one of {', '.join(names) or 'none, this inventory has no host'}.")
    return layers_of(loaded, host), host

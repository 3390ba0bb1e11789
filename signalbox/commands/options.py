"""Options that several commands share."""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import Any

import click

from signalbox.console import Command
from signalbox.settings.layers import Layer, defaults, layers_of
from signalbox.settings.run import read_inventory

FILE = click.Path(dir_okay=False, path_type=Path)
# Options that are handed on to pyinfra as they are: which hosts, with which data.
_SELECTORS = {
    "limit": "Only this host, pattern or group of the inventory; may be given again.",
    "exclude": "Not this host, pattern or group; may be given again.",
    "data": "Another value for a setting, such as gateway.port=4001; may be given again.",
    "group-data": "A directory with more group data; may be given again.",
    "parallel": "How many hosts at once.",
}


def inventory_options(command: Command) -> Command:
    """`--inventory FILE` and `--host NAME`, as the parameters `inventory` and `host`; see read_layers."""
    command = click.option("--host", metavar="NAME", help="The host of that inventory; may be left out if it has one.")(
        command
    )
    return click.option(
        "--inventory", type=FILE, metavar="FILE", help="Read settings as they are for a host of this inventory."
    )(command)


def selector_options(command: Command) -> Command:
    """pyinfra's selectors, as the parameter `selectors`: arguments for pyinfra."""

    @wraps(command)
    def with_selectors(**given: Any) -> Any:
        selectors = []
        for name in _SELECTORS:
            for value in given.pop(name.replace("-", "_")):
                selectors += [f"--{name}", str(value)]
        return command(selectors=selectors, **given)

    result: Any = with_selectors
    for name, help_text in reversed(_SELECTORS.items()):
        metavar = {"data": "KEY=VALUE", "group-data": "DIR", "parallel": "N"}.get(name, "NAME")
        result = click.option(f"--{name}", multiple=True, metavar=metavar, help=help_text)(result)
    return result  # type: ignore[no-any-return]


def run_options(command: Command) -> Command:
    """INVENTORY, DEPLOY and pyinfra's selectors: `inventory`, `deploy`, `selectors` (arguments for pyinfra)."""
    result: Any = click.argument("deploy", default="deploy.py")(selector_options(command))
    return click.argument("inventory", default="inventory.py")(result)  # type: ignore[no-any-return]


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

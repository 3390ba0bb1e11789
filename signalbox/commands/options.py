"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Iterable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from signalbox.console import Command
from signalbox.settings.layers import DEFAULTS, Layer, defaults, layers_of, merged, origin
from signalbox.settings.run import read_inventory

FILE = click.Path(dir_okay=False, path_type=Path)
_INVENTORY = Path("inventory.py")
_ASKED = ("mirrors", "extra_ca_certificates", "pins")
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


def pin_options(command: Command) -> Command:
    """As inventory_options, for the commands that resolve pins; see read_pin_layers."""
    command = click.option("--host", metavar="NAME", help="The host of that inventory; needed if mirrors differ.")(
        command
    )
    return click.option(
        "--inventory",
        type=FILE,
        metavar="FILE",
        help="Ask the mirrors that settings have for its hosts; inventory.py unless given.",
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


def read_pin_layers(inventory: Path | None, host: str | None) -> tuple[list[Layer], str]:
    """The layers by which pins are resolved: of an inventory whose hosts agree on their mirrors, or of one host.

    Without an inventory.py here the defaults alone.
    """
    if inventory is None and not _INVENTORY.exists():
        return read_layers(None, host)
    inventory = inventory or _INVENTORY
    names = list(read_inventory(inventory).hosts) if inventory.exists() else []
    if host is not None or not names:
        return read_layers(inventory, host)
    found = {name: read_layers(inventory, name)[0] for name in names}
    asked = [{key: merged(layers).get(key) for key in _ASKED} for layers in found.values()]
    if any(each != asked[0] for each in asked):
        raise click.UsageError(
            f"--host: the hosts of {inventory} have other mirrors or pins from each other; name the one to resolve "
            f"for: {', '.join(names)}."
        )
    return found[names[0]], names[0]


def beaten(layers: list[Layer], target: Path, paths: Iterable[tuple[str, ...]]) -> str:
    """What to say of pins that would have no effect in `target`, because a layer above it has others; "": nothing."""
    if target != DEFAULTS:
        return ""
    labels = {origin(layers, ("pins", *path)) for path in paths} - {"group_data/all.py", ""}
    if not labels:
        return ""
    return (
        f"pins are set by {', '.join(sorted(labels))}, too, which beats {target.name}: take them out there, or name "
        "that file with --output"
    )

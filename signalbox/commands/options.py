"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click
from pyinfra.api.inventory import Inventory

from signalbox.console import Command, Failure
from signalbox.fields.checks import PLACEHOLDER
from signalbox.init import pins_file as pins
from signalbox.init.files import INVENTORY
from signalbox.settings.layers import DEFAULTS, Layer, defaults, layers_of, merged, origin
from signalbox.settings.run import read_inventory
from signalbox.shipped import clone_around

FILE = click.Path(dir_okay=False, path_type=Path)
_DEPLOY = "deploy.py"
_ASKED = ("mirrors", "extra_ca_certificates", "pins")
# Options that are handed on to pyinfra as they are: which hosts, with which data.
_SELECTORS = {
    "limit": "Only this host, pattern or group of the inventory; may be given again.",
    "exclude": "Not this host, pattern or group; may be given again.",
    "data": "Another value for a setting, such as gateway.port=4001; may be given again.",
    "group-data": "A directory with more group data; may be given again.",
    "parallel": "How many hosts at once.",
}


def _inventory(command: Any, kind: click.ParamType[Any] | None = None) -> Any:
    words = f"The inventory; {INVENTORY} of this directory unless given."
    return click.option("--inventory", type=kind, metavar="FILE", help=words)(command)


def no_project() -> Failure:
    """What to say where there is no inventory."""
    return Failure(
        f"there is no project here: {Path.cwd()} has no {INVENTORY}; change to yours, name its inventory with "
        "--inventory FILE, or make one: signalbox init"
    )


def host_options(command: Command) -> Command:
    """`--inventory FILE` and `--limit NAME`, for commands that look at one host: as `inventory` and `host`; see
    read_layers. `--host` is another name of --limit.
    """
    command = click.option(
        "--limit", "--host", "host", metavar="NAME", help="The host that is meant; may be left out where there is one."
    )(command)
    return _inventory(command, FILE)  # type: ignore[no-any-return]


def fleet_options(command: Command) -> Command:
    """Hosts, `--inventory FILE` and pyinfra's selectors: `inventory` and `selectors` (arguments for pyinfra)."""

    @wraps(command)
    def with_fleet(words: tuple[str, ...], inventory: str | None, selectors: list[str], **given: Any) -> Any:
        where, deploy, hosts = _meant(words, inventory)
        if deploy is not None:
            raise Failure(f"{deploy}: this command runs no deploy file")
        return command(inventory=where, selectors=[*_limits(hosts), *selectors], **given)

    return _with_hosts(with_fleet)  # type: ignore[no-any-return]


def run_options(command: Command) -> Command:
    """As fleet_options, and the deploy file: `inventory`, `deploy`, `selectors`."""

    @wraps(command)
    def with_run(words: tuple[str, ...], inventory: str | None, selectors: list[str], **given: Any) -> Any:
        where, deploy, hosts = _meant(words, inventory)
        return command(inventory=where, deploy=deploy or _DEPLOY, selectors=[*_limits(hosts), *selectors], **given)

    return _with_hosts(with_run)  # type: ignore[no-any-return]


def _with_hosts(command: Any) -> Any:
    return click.argument("words", nargs=-1, metavar="[HOST]...")(_inventory(_selector_options(command)))


def _meant(words: tuple[str, ...], inventory: str | None) -> tuple[str, str | None, list[str]]:
    """Return the inventory, the deploy file that was named, and hosts: as pyinfra has it, files may come first.

    Raises:
        Failure: there is no inventory.
    """
    files = [word for word in words if word.endswith(".py")]
    hosts = [word for word in words if not word.endswith(".py")]
    if inventory is None and files:
        inventory, *files = files
    if inventory is None and hosts and not INVENTORY.exists() and (hosts[0].startswith("@") or "," in hosts[0]):
        inventory, *hosts = hosts  # pyinfra's own ways to name hosts without a file
    if inventory is None:
        if not INVENTORY.exists():
            raise no_project()
        inventory = str(INVENTORY)
    if len(files) > 1:
        raise Failure(f"{', '.join(files)}: one deploy file at a time")
    if inventory.endswith(".py") and not Path(inventory).exists():
        raise Failure(f"--inventory: {inventory} does not exist")
    return inventory, files[0] if files else None, hosts


def _limits(hosts: Iterable[str]) -> list[str]:
    return [word for host in hosts for word in ("--limit", host)]


def _selector_options(command: Command) -> Command:
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


def read_layers(inventory: Path | None, host: str | None) -> tuple[list[Layer], str]:
    """The layers of one host's settings and its name; of the defaults alone where there is no project and no host.

    Raises:
        Failure, UsageError: there is no such inventory or host, or several and none was named.
    """
    names, where = _hosts_of(inventory, host)
    if where is None:
        return [("group_data/all.py", defaults())], "group_data/all.py"
    if host is None and len(names) == 1:
        host = names[0]
    if host not in names:
        raise click.UsageError(f"--limit: write one of {', '.join(names) or 'none, this inventory has no host'}.")
    return layers_of(where, host), host


def read_agreed(inventory: Path | None, host: str | None, keys: Sequence[str]) -> tuple[list[Layer], str]:
    """As read_layers; where hosts agree on these sections none needs to be named."""
    names, where = _hosts_of(inventory, host)
    if where is None or host is not None or len(names) < 2:
        return read_layers(inventory, host)
    found = {name: layers_of(where, name) for name in names}
    asked = [{key: merged(layers).get(key) for key in keys} for layers in found.values()]
    if any(each != asked[0] for each in asked):
        raise click.UsageError(
            f"--limit: hosts of {inventory or INVENTORY} differ in {' or '.join(keys)}; name the one that is meant: "
            f"{', '.join(names)}."
        )
    return found[names[0]], names[0]


def read_pin_layers(inventory: Path | None, host: str | None) -> tuple[list[Layer], str]:
    """The layers by which pins are resolved: of an inventory whose hosts agree on their mirrors, or of one host."""
    return read_agreed(inventory, host, _ASKED)


def _hosts_of(inventory: Path | None, host: str | None) -> tuple[list[str], Inventory | None]:
    """Return the hosts that are filled in, and their inventory; None where nothing but the defaults is asked for."""
    if inventory is None and not INVENTORY.exists():
        if host is not None:
            raise no_project()
        return [], None
    path = inventory or INVENTORY
    if not path.exists():
        raise click.UsageError(f"--inventory: {path} does not exist.")
    where = read_inventory(path)
    names = [name for name in where.hosts if host == name or inventory or not PLACEHOLDER.search(name)]
    return names, None if inventory is None and host is None and not names else where


def pins_file(output: Path | None, inventory: Path | None) -> Path:
    """The file that gets pins: that of the project, or another one that was named.

    Raises:
        Failure: there is no project, or it is a clone of Signalbox, of which no file is written.
    """
    if output is not None:
        return output
    root = inventory.parent if inventory else Path()
    if clone := clone_around(root):
        raise Failure(
            f"{clone} is a clone of Signalbox, which stays as it is: run this in your project (`signalbox init` makes "
            "one, and --move takes along what is in here), or name a file with --output"
        )
    if not (root / INVENTORY.name).exists() and inventory is None:
        raise no_project()
    return root / pins.PATH


def beaten(layers: list[Layer], target: Path, paths: Iterable[tuple[str, ...]]) -> str:
    """What to say of pins that would have no effect in `target`, because a layer above it has others; "": nothing."""
    below = {"group_data/all.py", ""}
    if target.parts[-2:] == pins.PATH.parts:
        below.add(str(pins.PATH))
    elif target != DEFAULTS:
        return ""
    labels = {origin(layers, ("pins", *path)) for path in paths} - below
    if not labels:
        return ""
    return (
        f"pins are set by {', '.join(sorted(labels))}, too, which beats {target.name}: take them out there, or name "
        "that file with --output"
    )

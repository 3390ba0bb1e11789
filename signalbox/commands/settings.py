"""`signalbox settings`: what a host is set to, and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from signalbox.commands.options import host_options, no_project, read_layers
from signalbox.console import Failure, json_option, print_json, print_table
from signalbox.fields.messages import holds_key, show
from signalbox.init.files import INVENTORY
from signalbox.settings import Settings, SettingsError, manual, validate_run
from signalbox.settings.layers import DEFAULTS, merged, origin
from signalbox.settings.problems import dotted
from signalbox.settings.run import read_inventory

_PASSWORDS = {"ssh_password", "ssh_key_password", "_sudo_password"}  # pyinfra's own, which hold values


@click.command()
@host_options
@click.argument("name", required=False, metavar="[HOST]")
@click.option("--check", is_flag=True, help="Show nothing; only tell what is wrong, of all hosts.")
@click.option(
    "--explain",
    metavar="[WORD]",
    is_flag=False,
    flag_value="",
    help="Tell what there is to set, or what of it has WORD.",
)
@click.option("--all", "everything", is_flag=True, help="Values that come from the defaults too.")
@json_option
def settings(
    name: str | None,
    inventory: Path | None,
    host: str | None,
    check: bool,
    explain: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Show the settings of a host, merged, and which layer each value comes from.

    Shown are the values that differ from the defaults; --all shows every one. What is wrong is told on stderr,
    with exit status 1, as pyinfra would before it touches a host.
    """
    if name and name.endswith(".py"):
        inventory, name = inventory or Path(name), None
    if explain is not None:
        _explain(explain, as_json)
        return
    if check:
        _check(inventory or INVENTORY)
        return
    layers, name = read_layers(inventory, host or name)
    of_project = len(layers) > 1
    rows = [
        (path, value, origin(layers, path))
        for path, value in _values(merged(layers))
        if everything or not of_project or origin(layers, path) != layers[0][0]
    ]
    if as_json:
        print_json([{"setting": dotted(path), "value": _plain(value), "from": label} for path, value, label in rows])
    else:
        print_table(["setting", "value", "from"], [(dotted(path), show(value), label) for path, value, label in rows])
    try:
        Settings.from_layers(layers, host=name)
    except SettingsError as error:
        raise Failure(str(error)) from None


def _check(inventory: Path) -> None:
    if not inventory.exists():
        raise no_project()
    try:
        found = read_inventory(inventory)
        validate_run(found, list(found))
    except SettingsError as error:
        raise Failure(str(error)) from None


def _explain(word: str, as_json: bool) -> None:
    known = [each for each in manual.settings(DEFAULTS.read_text(encoding="utf-8")) if isinstance(each, manual.Setting)]
    found = [each for each in known if word.lower() in f"{each.path} {each.meaning}".lower()]
    if as_json:
        print_json([{"setting": each.path, "default": each.default, "meaning": each.meaning} for each in found])
    else:
        print_table(["setting", "default", "meaning"], [(each.path, each.default, each.meaning) for each in found])


def _values(data: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from _values(value, (*at, str(key)))
    else:
        yield at, "***" if at and at[0] in _PASSWORDS and data else data


def _plain(value: Any) -> Any:
    """A value as JSON has it; what JSON has not, and what looks like a key, in words."""
    return value if isinstance(value, str | int | float | list | None) and not holds_key(str(value)) else show(value)

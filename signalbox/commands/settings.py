"""`signalbox settings`: what a host is set to, and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from signalbox.commands.options import host_options, read_layers
from signalbox.console import Failure, json_option, print_json, print_table
from signalbox.fields.messages import holds_key, show
from signalbox.settings import Settings, SettingsError
from signalbox.settings.layers import merged, origin
from signalbox.settings.problems import dotted

_PASSWORDS = {"ssh_password", "ssh_key_password", "_sudo_password"}  # pyinfra's own, which hold values


@click.command()
@host_options
@click.option("--all", "everything", is_flag=True, help="Values that come from the defaults too.")
@json_option
def settings(inventory: Path | None, host: str | None, everything: bool, as_json: bool) -> None:
    """Show the settings of a host, merged, and which layer each value comes from.

    Shown are the values that differ from the defaults; --all shows every one. What is wrong is told on stderr,
    with exit status 1, as pyinfra would before it touches a host.
    """
    layers, name = read_layers(inventory, host)

    rows = [
        (path, value, origin(layers, path))
        for path, value in _values(merged(layers))
        if everything or inventory is None or origin(layers, path) != layers[0][0]
    ]
    if as_json:
        print_json([{"setting": dotted(path), "value": _plain(value), "from": label} for path, value, label in rows])
    else:
        print_table(["setting", "value", "from"], [(dotted(path), show(value), label) for path, value, label in rows])
    try:
        Settings.from_layers(layers, host=name)
    except SettingsError as error:
        raise Failure(str(error)) from None


def _values(data: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from _values(value, (*at, str(key)))
    else:
        yield at, "***" if at and at[0] in _PASSWORDS and data else data


def _plain(value: Any) -> Any:
    """A value as JSON has it; what JSON has not, and what looks like a key, in words."""
    return value if isinstance(value, str | int | float | list | None) and not holds_key(str(value)) else show(value)

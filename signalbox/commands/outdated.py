"""`signalbox outdated`: pins against what the mirrors offer."""

from __future__ import annotations

from pathlib import Path

import click

from signalbox.commands.options import host_options, read_pin_layers
from signalbox.console import DRIFT, Failure, json_option, print_json, print_table, working
from signalbox.pins import NAMES, PinError, Web, changes, newest, ordered
from signalbox.settings import SettingsError
from signalbox.settings.settings import sections


@click.command()
@host_options
@json_option
def outdated(inventory: Path | None, host: str | None, as_json: bool) -> None:
    """Tell which pinned versions are behind what the mirrors offer.

    Node is compared within its major version, LiteLLM with tags that are written like the pinned one. Nothing is
    written: `signalbox upgrade` does that.

    Exit status: 0 all are the newest, 2 there are newer ones, 1 a mirror could not tell.
    """
    layers, name = read_pin_layers(inventory, host)
    try:
        part = sections(layers, name, ("pins", "mirrors", "extra_ca_certificates"))
    except SettingsError as error:
        raise Failure(str(error)) from None
    rows, errors = [], []
    with Web(part["extra_ca_certificates"]) as web:
        for each in NAMES:
            pinned = getattr(part["pins"], each).version
            try:
                with working(f"Asking for {each}"):
                    offered = newest(web, each, part["pins"], part["mirrors"])
            except PinError as error:
                errors.append(str(error))
                continue
            if ordered(offered) > ordered(pinned):
                rows.append({"pin": each, "pinned": pinned, "newest": offered, "changes": changes(each, offered)})
    if as_json:
        print_json({"outdated": rows, "errors": errors})
    else:
        print_table(["pin", "pinned", "newest", "changes"], [list(row.values()) for row in rows])
    if errors:
        raise Failure("\n".join(errors))
    if rows:
        raise SystemExit(DRIFT)

"""`signalbox route`: who would answer a request, and why, without sending it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from signalbox.commands.options import host_options, no_project, read_layers
from signalbox.console import Failure, json_option, print_json, print_table
from signalbox.desired.explained import explained
from signalbox.desired.routing import routing_table
from signalbox.init.files import INVENTORY
from signalbox.settings import Settings, SettingsError
from signalbox.untrusted import json_of

_MOST = 64 << 20  # bytes of a request


@click.command()
@click.option("--explain", type=click.File("rb"), required=True, metavar="FILE", help="The request's body; -: stdin.")
@click.option("--lane", metavar="NAME", help="The lane that it comes from; needed where there are several.")
@host_options
@json_option
def route(explain: Any, lane: str | None, inventory: Path | None, host: str | None, as_json: bool) -> None:
    """Tell who would answer a request of Claude Code, and why, stage by stage. Nothing is sent.

    FILE is the JSON that Claude Code posts to /v1/messages. What is told is decided by the gateway's own code: which
    rule of gateway.rules is the first that fits, who has that model, in what order, and who follows when they fail.

    \b
    signalbox route --explain request.json --lane routed
    """
    if inventory is None and not INVENTORY.exists():
        raise no_project()
    layers, name = read_layers(inventory, host)
    try:
        settings = Settings.from_layers(layers, host=name)
    except SettingsError as error:
        raise Failure(str(error)) from None
    lanes = {each.name: each for each in settings.lanes.values() if each.enabled}
    if lane is None and len(lanes) == 1:
        lane = next(iter(lanes))
    if lane not in lanes:
        raise click.UsageError(f"--lane: write one of {', '.join(lanes)}.")
    found = explained(settings, routing_table(settings), lanes[lane], _document(explain))
    if as_json:
        print_json({"model": found.model, "rule": found.rule, "backends": found.backends, "stages": found.stages})
    else:
        print_table(["stage", "what comes of it"], found.stages)
    if found.model is None:
        raise Failure("nobody would answer it")


def _document(file: Any) -> dict[str, Any]:
    """Return the request in a file. Raises Failure."""
    try:
        document = json_of(file.read(_MOST + 1).decode(), max_bytes=_MOST, max_depth=200)
    except ValueError:
        raise Failure(f"{file.name}: this is no request: it holds no JSON, or too much") from None
    if not isinstance(document, dict) or not isinstance(document.get("model"), str):
        raise Failure(f'{file.name}: this is no request: it holds no "model"; write what is posted to /v1/messages')
    return document

"""Settings of a pyinfra run: all selected hosts validated together, before anything is executed on any."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from weakref import WeakKeyDictionary

import pyinfra
from pyinfra.api.exceptions import DeployError
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.api.state import State
from pyinfra.context import ctx_state

from signalbox.settings.layers import layers_of
from signalbox.settings.problems import Problem, SettingsError
from signalbox.settings.settings import Settings

_UNKNOWN = (
    "this run was not known as Signalbox's before it connected, so neither settings nor host keys were checked;"
    " import signalbox.settings, or a task, at the top of the deploy file that pyinfra is given"
)
_validated: WeakKeyDictionary[Inventory, dict[str, Settings]] = WeakKeyDictionary()


def read_inventory(path: Path) -> Inventory:
    """A pyinfra inventory file with its group data, read as `pyinfra PATH` reads it in this directory."""
    cli = import_module("pyinfra_cli.inventory")  # only here: it patches the standard library for gevent
    with ctx_state.use(State()):  # where pyinfra keeps the name of the file it reads
        inventory: Inventory = cli.make_inventory(str(path), cwd=os.getcwd(), override_data={})
    return inventory


def validate_run(inventory: Inventory, hosts: Iterable[Host]) -> None:
    """Validate the settings of these hosts; nothing is asked of the hosts themselves.

    Raises:
        SettingsError: with every problem of every host.
    """
    known = _validated.setdefault(inventory, {})
    problems: dict[str, list[Problem]] = {}
    for host in hosts:
        if host.name in known:
            continue
        try:
            known[host.name] = Settings.from_layers(layers_of(inventory, host.name), host=host.name)
        except SettingsError as error:
            problems.update(error.problems)
    if problems:
        raise SettingsError(problems)


def settings_for(host: Host) -> Settings:
    """The settings of a pyinfra host within a run.

    The first call validates all hosts of the run (its --limit honoured), so that one host's mistake
    ends the run before anything is executed on another.

    Raises:
        SettingsError: with every problem of every host.
        DeployError: pyinfra's command line has connected to the host before we knew that this run is ours.
    """
    inventory = host.inventory
    if host.name not in _validated.get(inventory, {}):
        if pyinfra.is_cli and host.connected and inventory not in _validated:
            raise DeployError(_UNKNOWN)
        validate_run(inventory, _selected(host))
    return _validated[inventory][host.name]


def _selected(host: Host) -> list[Host]:
    state = getattr(host, "state", None)
    limit = getattr(state, "limit_hosts", None)
    hosts = list(host.inventory) if limit is None else list(limit)
    return hosts if host in hosts else [*hosts, host]

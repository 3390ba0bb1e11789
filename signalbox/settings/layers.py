"""Layers of settings: where values come from, and how later layers change earlier ones."""

from __future__ import annotations

import runpy
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path as File
from types import ModuleType
from typing import Any

from pyinfra.api.inventory import Inventory

from signalbox.settings import model_hosts
from signalbox.shipped import shipped

Path = tuple[str | int, ...]
Layer = tuple[str, Mapping[str, Any]]

DEFAULTS = shipped("group_data/all.py")
PINS = "pins"  # pyinfra reads group_data/pins.py as data of a group, which need not be there
COMMAND_LINE = "--data"
_ASKED = {"ssh_password", "ssh_key_password"}  # pyinfra keeps here what a person typed; it is no setting
_NONE = object()
HOST = "host"
ALL = "all"
MODEL_HOSTS = "model_hosts of the inventory"
_GROUP = "group "
# Settings that a host, by name, shall use rather than its inventory's: those that a rollout puts back.
replaced: dict[str, Mapping[str, Any]] = {}


def layers_of(inventory: Inventory, host: str) -> list[Layer]:
    """The layers of a pyinfra host's settings, lowest first: defaults < all < groups < host < command line.

    pyinfra's own `host.data` gives the first layer that has a key, whole; these layers are for merging.
    The shipped group_data/all.py is always the lowest: an inventory directory may have its own
    group_data/all.py, which need not repeat it. Where pyinfra read the shipped one too, it is there once.
    A project's group_data/pins.py is for all hosts, below what is written by hand.
    """
    data: Any = inventory  # pyinfra's getters are untyped
    groups = [name for name in data.get_host(host).groups if name != "all"]
    if host in replaced:
        # The groups stay: secrets are found by them.
        return [
            ("group_data/all.py", defaults()),
            *((f"{_GROUP}{name}", {}) for name in dict.fromkeys(groups)),
            (HOST, replaced[host]),
        ]
    layers = _given(inventory, host)
    if not (servers := _model_hosts(inventory)):
        return layers
    if host in servers:
        agents = [_address(inventory, each) for each in (each.name for each in data) if each not in servers]
        above_all = [label for label, _ in layers].index(ALL) + 1
        layers.insert(above_all, (MODEL_HOSTS, model_hosts.own(merged(layers), agents)))
    others = [each for each in servers if each != host or not _serves_alone(layers)]
    return [layers[0], (MODEL_HOSTS, _backends(inventory, layers, others)), *layers[1:]]


def _given(inventory: Inventory, host: str) -> list[Layer]:
    """The layers as people wrote them."""
    data: Any = inventory
    given = data.get_override_data()
    groups = [name for name in data.get_host(host).groups if name != "all"]
    return [
        ("group_data/all.py", defaults()),
        *pins_layer(inventory),
        (ALL, {key: value for key, value in data.get_data().items() if defaults().get(key, _NONE) != value}),
        *((f"{_GROUP}{name}", data.get_group_data(name)) for name in dict.fromkeys(groups)),
        (HOST, data.get_host_data(host)),
        (COMMAND_LINE, expanded({key: value for key, value in given.items() if key not in _ASKED})),
    ]


def _model_hosts(inventory: Inventory) -> list[str]:
    data: Any = inventory
    return [host.name for host in data.groups.get(model_hosts.GROUP, ())]


def _serves_alone(layers: Sequence[Layer]) -> bool:
    section = merged(layers).get("model_server")
    return not isinstance(section, dict) or section.get("alone") is not False


def _address(inventory: Inventory, host: str) -> str:
    """Where a host is reached: as pyinfra does."""
    data: Any = inventory
    return str(merged(_given(inventory, host)).get("ssh_hostname") or data.get_host(host).name)


def _backends(inventory: Inventory, layers: Sequence[Layer], servers: Sequence[str]) -> dict[str, Any]:
    """What the model hosts are for an agent's host; the one that is shipped as an example gives way to them."""
    found: dict[str, Any] = {}
    for server in servers:
        found |= model_hosts.backend(server, merged(_given(inventory, server)), _address(inventory, server))
    said = any("lmstudio" in (data.get("backends") or {}) for _, data in layers[1:])
    return {"backends": found if said or not found else {"lmstudio": {"enabled": False}, **found}}


def pins_layer(inventory: Inventory) -> list[Layer]:
    """The project's group_data/pins.py, where it has one and no group of hosts is called so."""
    found: Any = inventory
    data = {} if found.groups.get(PINS) else found.get_group_data(PINS)
    return [(f"group_data/{PINS}.py", data)] if data else []


@cache
def defaults() -> dict[str, Any]:
    """The shipped group_data/all.py, read as pyinfra reads it."""
    return data_of(DEFAULTS)


def data_of(path: File) -> dict[str, Any]:
    """What a file of group data assigns; {} where there is none."""
    values = runpy.run_path(str(path)) if path.exists() else {}
    return {
        key: value for key, value in values.items() if not key.startswith("__") and not isinstance(value, ModuleType)
    }


def expanded(data: Mapping[str, Any]) -> dict[str, Any]:
    """Command-line data with dotted keys as sections: `{"gateway.port": 1}` -> `{"gateway": {"port": 1}}`."""
    sections: dict[str, Any] = {}
    for key, value in data.items():
        for part in reversed(key.split(".")):
            value = {part: value}
        sections = merge(sections, value)
    return sections


def merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """`low` changed by `high`: sections (dicts) merge key by key, everything else is replaced whole.

    Neither argument is changed, and the result shares no dict or list with them. Tuples become lists.
    """
    result = {key: _copy(value) for key, value in low.items()}
    for key, value in high.items():
        below = result.get(key)
        both = isinstance(below, dict) and isinstance(value, Mapping)
        result[key] = merge(below, value) if both else _copy(value)  # type: ignore[arg-type]
    return result


def merged(layers: Sequence[Layer]) -> dict[str, Any]:
    """All layers, lowest first, as one."""
    result: dict[str, Any] = {}
    for _, data in layers:
        result = merge(result, data)
    return result


def origin(layers: Sequence[Layer], path: Path) -> str:
    """The label of the layer that `path`'s value comes from: the highest that has it, or the most of it."""
    best, depth = "", 0
    for label, data in reversed(layers):
        found = _depth(data, path)
        if found > depth:
            best, depth = label, found
    return best


def groups_of(layers: Sequence[Layer]) -> list[str]:
    """The groups among the layers, the lowest first."""
    return [label.removeprefix(_GROUP) for label, _ in layers if label.startswith(_GROUP)]


def _depth(data: Any, path: Path) -> int:
    for depth, part in enumerate(path):
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return depth
    return len(path)


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(item) for item in value]
    return value

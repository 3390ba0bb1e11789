"""The last settings with which a host was deployed to and verified: what a failed rollout puts it back to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyinfra.api.inventory import Inventory

from signalbox.engine import deployed
from signalbox.engine.deploy_scope import code, commit
from signalbox.settings import layers
from signalbox.untrusted import json_of

_BYTES = 4 * 1024 * 1024  # of the settings of one host


@dataclass(frozen=True)
class WayBack:
    """To what a host can be put back: the settings of `commit`; or why it cannot, in words."""

    settings: Mapping[str, Any] | None
    commit: str = ""
    why: str = ""


def basis(inventory: Inventory, host: str) -> str:
    """Return what a deploy of this host is made from: the code's commit, and a hash of the host's settings."""
    return f"{code()} {deployed.digest(deployed.settings_of(inventory, host))}"


def remember(file: str, inventory: Inventory, hosts: Iterable[str]) -> None:
    """Keep the settings of these hosts as good ones. They hold names of secrets, never values."""
    for host in hosts:
        settings = deployed.settings_of(inventory, host)
        deployed.write(deployed.path("good", file, host), {"host": host, "commit": commit(), "settings": settings})


def way_back(file: str, deploy: str, host: str) -> WayBack:
    """Return the way back from a deploy that is about to be made to a host of this inventory's file."""
    try:
        values = json_of(deployed.path("good", file, host).read_bytes(), max_bytes=_BYTES)
        settings, good = dict(values["settings"]), str(values["commit"])
    except (OSError, ValueError, KeyError, TypeError):
        return WayBack(None, why="there is no verified rollout of it to go back to")
    last = deployed.recall(file, host)
    if last and (last.deploy, last.settings) != (Path(deploy).name, deployed.digest(settings)):
        return WayBack(
            None, why=f"not put back: it was deployed to with other settings after those of {good or 'then'}"
        )
    return WayBack(settings, good)


@contextmanager
def instead(inventory: Inventory, host: str, settings: Mapping[str, Any]) -> Iterator[None]:
    """Have this host use these settings rather than those of its inventory, but for how it is reached."""
    now = layers.merged(layers.layers_of(inventory, host))
    layers.replaced[host] = {**settings, **{name: now[name] for name in deployed.HOW if name in now}}
    try:
        yield
    finally:
        del layers.replaced[host]

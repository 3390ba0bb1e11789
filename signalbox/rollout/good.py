"""The last settings with which a host was deployed to and verified: what a failed rollout puts it back to."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from pyinfra.api.inventory import Inventory

from signalbox.applied import code, commit
from signalbox.history import state_directory
from signalbox.settings import layers
from signalbox.settings.settings import SECTION_NAMES


def _path(host: str) -> Any:
    return state_directory() / "good" / f"{re.sub(r'[^A-Za-z0-9._-]', '_', host)}.json"


def _settings(inventory: Inventory, host: str) -> dict[str, Any]:
    merged = layers.merged(layers.layers_of(inventory, host))
    return {name: value for name, value in merged.items() if name in SECTION_NAMES}


def basis(inventory: Inventory, host: str) -> str:
    """Return what a deploy of this host is made from: the code's commit, and a hash of the host's settings."""
    settings = {name: value for name, value in _settings(inventory, host).items() if name != "lock"}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()
    return f"{code()} {digest[:12]}"


def remember(inventory: Inventory, hosts: Iterable[str]) -> None:
    """Keep the settings of these hosts as good ones. They hold names of secrets, never values."""
    for host in hosts:
        settings = _settings(inventory, host)
        path = _path(host)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = path.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(json.dumps({"host": host, "commit": commit(), "settings": settings}, indent=2) + "\n")
        new.replace(path)


def recall(host: str) -> dict[str, Any] | None:
    """Return `commit` and `settings` of the host's last good deploy, None if there was none from this machine."""
    try:
        values = json.loads(_path(host).read_text())
        return {"commit": str(values["commit"]), "settings": dict(values["settings"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def instead(settings: dict[str, dict[str, Any]]) -> Iterator[None]:
    """Have these hosts, by name, use these settings rather than those of their inventory."""
    layers.replaced.update(settings)
    try:
        yield
    finally:
        layers.replaced.clear()

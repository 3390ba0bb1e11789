"""What this machine has last deployed to each host of an inventory: from which commit, and with which settings."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from pyinfra.api.inventory import Inventory

from signalbox.engine.history import state_directory
from signalbox.settings import layers
from signalbox.settings.sections import SECTION_NAMES
from signalbox.untrusted import json_of

# How a host is reached, and others are kept away from it: no part of what it has.
HOW = ("connection", "lock")
_BYTES = 64 * 1024


@dataclass(frozen=True)
class Last:
    """The last deploy to a host. deploy: name of its file. settings: their digest. whole: it came to its end."""

    commit: str
    deploy: str
    settings: str
    whole: bool

    def __str__(self) -> str:
        return self.commit if self.whole else f"part of {self.commit or 'a deploy'}"


def key(inventory: str) -> str:
    """Return a name for an inventory's file: two may have a host of the same name."""
    return hashlib.sha256(str(Path(inventory).resolve()).encode()).hexdigest()[:12]


def settings_of(inventory: Inventory, host: str) -> dict[str, Any]:
    """Return the settings that decide what a host has."""
    merged = layers.merged(layers.layers_of(inventory, host))
    return {name: value for name, value in merged.items() if name in SECTION_NAMES and name not in HOW}


def digest(settings: Mapping[str, Any]) -> str:
    """Return a short hash of settings, the same for the same."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:12]


def remember(inventory: Inventory, host: str, commit: str, deploy: str, whole: bool) -> None:
    """Note a deploy to a host, made by the pyinfra run that this is called in. Raises OSError."""
    context = click.get_current_context(silent=True)
    file = str(context.params.get("inventory") or "") if context else ""
    write(path("deployed", file, host), asdict(Last(commit, deploy, digest(settings_of(inventory, host)), whole)))


def recall(inventory: str, host: str) -> Last | None:
    """Return the last deploy to a host of this inventory's file, None if there was none from here."""
    try:
        found = Last(**json_of(path("deployed", inventory, host).read_bytes(), max_bytes=_BYTES))
    except (OSError, ValueError, TypeError):
        return None
    return (
        found
        if all(type(value) is (bool if name == "whole" else str) for name, value in asdict(found).items())
        else None
    )


def path(kind: str, inventory: str, host: str) -> Path:
    """Return the file that holds something of a host of this inventory's file."""
    return state_directory() / kind / key(inventory) / f"{re.sub(r'[^A-Za-z0-9._-]', '_', host)}.json"


def write(file: Path, values: Mapping[str, Any]) -> None:
    """Write a file whole or not at all, readable by its owner alone. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = file.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(json.dumps(values, indent=2) + "\n")
    new.replace(file)

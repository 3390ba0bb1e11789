"""What operations state while they compare: how a thing differs, and that it is wanted at all.

An operation is asked twice in a run, while it is prepared and while it is executed, and states the same both times.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyinfra import host as current
from pyinfra.api import Host

from signalbox.host.shared.output import shown

_DIFFERENCES = "signalbox_differences"
_WANTED = "signalbox_wanted"
_LETTERS = 200  # of a value that is told
_REPLACEABLE = "signalbox_replaceable"
_RENEWED = "signalbox_renewed"


def differs(what: str, now: object, wanted: object) -> None:
    """State that `what` of the thing at hand is `now` and shall be `wanted`. Never give content: people read this.

    None or "": there is nothing. Does nothing where both are the same.
    """
    if now == wanted:
        return
    told: dict[Any, dict[str, None]] = current.connector_data.setdefault(_DIFFERENCES, {})
    words = f"{what}: {_word(now)} → {_word(wanted)}"
    told.setdefault(current.current_op_hash, {})[words] = None


def differences(host: Host, op_hash: str) -> list[str]:
    """Return what the operation stated of this host, in its order."""
    return list(host.connector_data.get(_DIFFERENCES, {}).get(op_hash, ()))


def want(kind: str, ident: str) -> None:
    """State that the settings ask for this thing of the manifest; see tasks/leftovers.py."""
    current.connector_data.setdefault(_WANTED, set()).add((kind, ident))


def wanted(host: Host) -> set[tuple[str, str]]:
    """Return what operations have so far stated to want on this host, as (kind, id) of the manifest."""
    return set(host.connector_data.get(_WANTED, ()))


def renews(path: str) -> None:
    """State that this run puts something else at `path` than is there."""
    current.connector_data.setdefault(_RENEWED, set()).add(path)


def is_renewed(unit: str) -> bool:
    """Return whether this run has so far stated to renew this file of a unit, or a drop-in of it."""
    found: set[str] = current.connector_data.get(_RENEWED, set())
    return any(path == unit or path.startswith(f"{unit}.d/") for path in found)


def may_replace(packages: Iterable[str]) -> None:
    """State that the settings give these packages up for those that are wanted."""
    current.connector_data[_REPLACEABLE] = tuple(packages)


def replaceable() -> tuple[str, ...]:
    """Return the packages that the settings give up."""
    return tuple(current.connector_data.get(_REPLACEABLE, ()))


def _word(value: object) -> str:
    text = shown(" ".join(str(value).splitlines()))  # a host says what is
    return "nothing" if value in (None, "", (), []) else text if len(text) <= _LETTERS else f"{text[:_LETTERS]}…"

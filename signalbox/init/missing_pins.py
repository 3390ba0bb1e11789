"""The pins that a project still lacks, from the mirrors of the answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from signalbox.pins import PinError, Web, newest, resolve
from signalbox.pins.resolve import leaves
from signalbox.settings.sections.mirrors import Mirrors
from signalbox.settings.sections.pins import Pins

NAMES = ("mise", "node", "claude_code", "litellm")


def lacking(pins: Pins) -> list[str]:
    """Return what is not pinned for any architecture, by the names of `signalbox pin`."""
    return [name for name in NAMES if not _pinned(pins, name)]


def resolved(
    pins: Pins, mirrors: Mirrors, certificates: list[str]
) -> Iterator[tuple[str, str, dict[tuple[str, ...], str | None]]]:
    """Resolve each that lacks; the mirror's newest version of the same kind where it does not have the pinned one.

    Yields:
        a name, the version that is taken, and the values by their paths below `pins`.

    Raises:
        PinError: the mirror does not answer, or has neither.
    """
    with Web(certificates) as web:
        for name in lacking(pins):
            version = getattr(pins, name).version
            try:
                found = list(resolve(web, pins, mirrors, [name]))
            except PinError as first:
                try:
                    offered = newest(web, name, pins, mirrors)
                except PinError:
                    raise first from None
                if offered == version:
                    raise
                version, pins = offered, _with_version(pins, name, offered)
                found = list(resolve(web, pins, mirrors, [name]))
            values: dict[tuple[str, ...], str | None] = {one.path: one.new for one in found}
            yield name, version, {(name, "version"): version, **values}


def _pinned(pins: Pins, name: str) -> bool:
    section: dict[str, Any] = getattr(pins, name).model_dump()
    values = {path[-1]: value for path, value in leaves(section) if path[-1] != "version"}
    if name == "claude_code" and values["package"] is None:
        return False
    return any(value for key, value in values.items() if key != "package")


def _with_version(pins: Pins, name: str, version: str) -> Pins:
    data = pins.model_dump()
    data[name]["version"] = version
    return Pins.model_validate(data)

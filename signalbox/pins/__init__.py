"""Pins: checksums and digests of the versions in settings, resolved from the mirrors that settings name."""

from signalbox.pins import history, signature
from signalbox.pins.available import changes, newest, ordered
from signalbox.pins.errors import PinError
from signalbox.pins.literals import rewrite, write
from signalbox.pins.resolve import NAMES, Found, resolve, unset
from signalbox.pins.web import Web

__all__ = [
    "NAMES",
    "Found",
    "PinError",
    "Web",
    "changes",
    "history",
    "newest",
    "ordered",
    "resolve",
    "rewrite",
    "signature",
    "unset",
    "write",
]

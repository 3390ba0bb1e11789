"""Pins: checksums and digests of the versions in settings, resolved from the mirrors that settings name."""

from signalbox.pins.errors import PinError
from signalbox.pins.literals import rewrite, write
from signalbox.pins.resolve import NAMES, Found, resolve, unset
from signalbox.pins.web import Web

__all__ = ["NAMES", "Found", "PinError", "Web", "resolve", "rewrite", "unset", "write"]

"""The type of what an operation yields."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api import StringCommand

from signalbox.shell import Script

Commands = Generator[StringCommand | Script, None, None]

"""The section `base`."""

from __future__ import annotations

from signalbox.fields.section import Section
from signalbox.fields.system import Package, TimeZone


class Base(Section):
    """The Debian system itself."""

    enabled: bool
    packages: list[Package]
    timezone: TimeZone | None
    unattended_upgrades: bool

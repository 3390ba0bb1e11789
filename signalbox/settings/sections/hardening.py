"""The section `hardening`."""

from __future__ import annotations

from typing import Annotated

from signalbox.fields.checks import matching
from signalbox.fields.section import Section
from signalbox.fields.system import Package

SysctlKey = Annotated[str, matching(r"[a-z][\w-]*(\.[\w-]+)+", "a sysctl key", 'one such as "net.ipv4.tcp_syncookies"')]
Module = Annotated[str, matching(r"[a-z0-9][\w-]*", "a kernel module", 'one such as "dccp"')]
TimeOfDay = Annotated[str, matching(r"([01]\d|2[0-3]):[0-5]\d", "a time of day", 'one such as "04:30"')]


class Hardening(Section):
    """The system itself."""

    enabled: bool
    packages: list[Package]
    sysctl: dict[SysctlKey, int]
    blocked_modules: list[Module]
    banner: str | None
    reboot_at: TimeOfDay | None

"""The section `fail2ban`."""

from __future__ import annotations

from typing import Annotated

from signalbox.fields.checks import between
from signalbox.fields.networks import SparedName
from signalbox.fields.numbers import Seconds
from signalbox.fields.section import Section


class Fail2ban(Section):
    """Who fails to log in too often is banned; times in seconds."""

    enabled: bool
    ignored: list[SparedName]
    max_failures: Annotated[int, between(1, 100, "failures")]
    find_seconds: Seconds
    ban_seconds: Seconds
    longest_ban_seconds: Annotated[int, between(1, 365 * 86400, "seconds")]

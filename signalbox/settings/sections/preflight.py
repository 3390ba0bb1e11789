"""The section `preflight`."""

from __future__ import annotations

from typing import Annotated

from signalbox.fields.checks import between
from signalbox.fields.numbers import Mebibytes, Seconds
from signalbox.fields.section import Section


class Preflight(Section):
    """What must be so before anything is changed."""

    enabled: bool
    min_disk_mib: Mebibytes
    min_memory_mib: Mebibytes
    max_clock_skew_seconds: Seconds
    probe_timeout_seconds: Annotated[int, between(1, 60, "seconds")]

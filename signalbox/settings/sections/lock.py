"""The section `lock`."""

from __future__ import annotations

from typing import Annotated

from signalbox.fields.checks import between
from signalbox.fields.section import Section


class Lock(Section):
    """How a deploy keeps others away from a host; `reason` is told to them."""

    enabled: bool
    wait_seconds: Annotated[int, between(0, 86400, "seconds")]
    expires_minutes: Annotated[int, between(1, 1440, "minutes")]
    reason: str | None

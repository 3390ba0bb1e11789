"""The section `guard`."""

from __future__ import annotations

from typing import Annotated

from signalbox.fields.checks import between
from signalbox.fields.section import Section


class Guard(Section):
    """The host's own way back from a change that locks its owner out."""

    enabled: bool
    armed_seconds: Annotated[int, between(10, 3600, "seconds")]
    login_seconds: Annotated[int, between(2, 60, "seconds")]

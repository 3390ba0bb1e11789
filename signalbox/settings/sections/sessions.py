"""The section `sessions`."""

from __future__ import annotations

from typing import Annotated

from signalbox.fields.checks import between
from signalbox.fields.section import Section


class Sessions(Section):
    """What is kept of the sessions of Claude Code."""

    keep_days: Annotated[int, between(1, 36500, "days")]

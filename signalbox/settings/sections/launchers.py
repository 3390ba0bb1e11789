"""The section `launchers`."""

from __future__ import annotations

from typing import Annotated

from pydantic import field_validator

from signalbox.fields.checks import between
from signalbox.fields.numbers import Seconds
from signalbox.fields.section import Section
from signalbox.fields.system import Flag


class Handover(Section):
    """Work for another lane: who does it, and what one piece of it may take (seconds, US dollars)."""

    lane: str
    timeout_seconds: Seconds
    budget_usd: Annotated[float, between(0, 1000, "US dollars")]


class Dispatch(Handover):
    """Work for the local lane, `parallel` pieces at once."""

    parallel: Annotated[int, between(1, 16, "tasks")]


class Launchers(Section):
    """The commands that start Claude Code in a lane; `flags` go before the caller's own."""

    enabled: bool
    flags: list[Flag]
    reopen_sessions: bool
    task_timeout_seconds: Seconds
    escalation: Handover
    dispatch: Dispatch

    @field_validator("flags")
    @classmethod
    def _not_what_has_a_setting(cls, flags: list[str]) -> list[str]:
        for flag in flags:
            if flag == "--dangerously-skip-permissions":
                raise ValueError(f'holds {flag}; write permission_mode = "bypass" in the lanes that shall have it')
        return flags

"""Numbers with a unit: seconds, MiB, tokens, USD, ports."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from signalbox.fields.checks import between

CONTEXT_FLOOR = 32768  # tokens; Claude Code's own prompt fills most of less


def _port(value: int) -> int:
    if not 1024 <= value <= 65535:
        raise ValueError(f"{value} is not a port that a user without root may open; write one from 1024 to 65535")
    return value


def _context(value: int) -> int:
    if value < CONTEXT_FLOOR:
        raise ValueError(
            f"{value} is below the {CONTEXT_FLOOR} that Claude Code needs; load the model with at least {CONTEXT_FLOOR}"
        )
    return value


Port = Annotated[int, AfterValidator(_port)]
Context = Annotated[int, AfterValidator(_context)]


def _usd(value: object) -> object:
    """A whole number is an amount, too."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 <= value < 1e6:
            raise ValueError(f"{value} is no amount; write USD, from 0 to 999999")
        return float(value)
    return value


Tokens = Annotated[int, between(1, 1 << 24, "tokens")]
Usd = Annotated[float, BeforeValidator(_usd)]
Seconds = Annotated[int, between(1, 86400, "seconds")]
Mebibytes = Annotated[int, between(0, 1 << 24, "MiB")]

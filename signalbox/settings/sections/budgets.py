"""The section `budgets`: what requests through the gateway may cost, and what ends when it is used up."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from signalbox.fields.numbers import Usd
from signalbox.fields.section import Section


def _whole(value: object) -> object:
    """What a budget does not say: it is for a day, and ends what nobody has asked for."""
    return {"per": "day", "stops": "fallbacks", **value} if isinstance(value, dict) else value


class Limit(Section):
    """So many USD in each such period, which begins with the hour, the day, Monday or the month, in UTC.

    stops: what ends when they are used up: "fallbacks", what bills in another model's place, or "all" that bills.
    """

    usd: Usd
    per: Literal["hour", "day", "week", "month"]
    stops: Literal["fallbacks", "all"]


Budget = Annotated[Limit, BeforeValidator(_whole)]


class Budgets(Section):
    """Of the whole host, of lanes and of those who bill, by their names."""

    all: Budget | None
    lanes: dict[str, Budget]
    clouds: dict[str, Budget]

    @property
    def any(self) -> bool:
        """Whether there is a budget at all."""
        return bool(self.all or self.lanes or self.clouds)

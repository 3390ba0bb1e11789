"""Budgets: what requests through the gateway may cost, and what ends when it is used up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator

from signalbox.settings.layers import Path
from signalbox.settings.names import is_claude
from signalbox.settings.problems import Problem, nearest, show
from signalbox.settings.records import Backend, Cloud, Usd
from signalbox.settings.sections import Section

if TYPE_CHECKING:
    from signalbox.settings.settings import Settings

Raw = Mapping[str, Any]


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


def budgets(settings: Settings, _: Raw) -> Iterator[Problem]:
    """A budget is of what the gateway counts; what nobody knows the price of is not counted as nothing."""
    wanted = settings.budgets
    if wanted.any and not settings.gateway.enabled:
        yield Problem(("budgets",), "the gateway counts, and it is off; write gateway.enabled = True, or no budget")
        return
    lanes = [name for name, lane in settings.lanes.items() if lane.enabled]
    for name in wanted.lanes:
        at: Path = ("budgets", "lanes", name)
        if name not in lanes:
            yield Problem(at, f"there is no lane {show(name)}{nearest(name, lanes)}")
        elif settings.lanes[name].via != "gateway":
            yield Problem(at, f"this lane goes past the gateway, which counts; write lanes.{name}.via, or no budget")
    billing = {record.name: record for record in who_bills(settings)}
    for name in wanted.clouds:
        if name not in billing:
            said = f"no enabled cloud or backend with a payer is called {show(name)}{nearest(name, list(billing))}"
            yield Problem(("budgets", "clouds", name), said)
    if wanted.any:
        for name, record in billing.items():
            section = "clouds" if isinstance(record, Cloud) else "backends"
            for model in record.models.values():
                if model.price is None and not is_claude(record, model):
                    said = (
                        'there is a budget, and nobody knows what this costs; write {"input": …, "output": …} in USD '
                        'a million tokens, or "plan" if it is paid by the month'
                    )
                    yield Problem((section, name, "models", model.name, "price"), said)


def who_bills(settings: Settings) -> Iterator[Backend | Cloud]:
    """Yield the enabled clouds, and the enabled backends with a payer."""
    yield from (each for each in settings.clouds.values() if each.enabled)
    yield from (each for each in settings.backends.values() if each.enabled and not each.own)


RULES: list[Callable[[Settings, Raw], Iterator[Problem]]] = [budgets]

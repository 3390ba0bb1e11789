"""Rules of budgets."""

from __future__ import annotations

from collections.abc import Iterator

from signalbox.backends.records import Cloud
from signalbox.fields.messages import nearest, show
from signalbox.settings.layers import Path
from signalbox.settings.models import is_claude, who_bills
from signalbox.settings.problems import Problem
from signalbox.settings.rules.rule import Raw, Rule
from signalbox.settings.sections import Sections


def budgets(settings: Sections, _: Raw) -> Iterator[Problem]:
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


RULES: list[Rule] = [budgets]

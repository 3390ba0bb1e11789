"""Rules of gateway.rules, which say who answers by the kind of request."""

from __future__ import annotations

from collections.abc import Iterator

from signalbox.backends.records import Backend, BackendModel, Cloud, CloudModel
from signalbox.fields.messages import nearest, show
from signalbox.settings.layers import Path
from signalbox.settings.models import known_models
from signalbox.settings.problems import Problem
from signalbox.settings.rules.gateway import undefined
from signalbox.settings.rules.rule import Raw, Rule
from signalbox.settings.sections import Sections
from signalbox.settings.sections.gateway import When


def models(settings: Sections, raw: Raw) -> Iterator[Problem]:
    """A rule names a model that exists, and that has room for what it is sent."""
    if not settings.gateway.enabled:
        return
    known = dict(known_models(settings, raw))
    windows = _windows(settings)
    for index, rule in enumerate(settings.gateway.rules):
        at: Path = ("gateway", "rules", index)
        if rule.to not in known:
            yield Problem((*at, "to"), undefined(rule.to, known))
        over, window = rule.when.tokens_over, windows.get(rule.to)
        if over is not None and window is not None and over >= window:
            said = f"{show(rule.to)} has a context of {window} tokens, and would get what is longer than {over}"
            yield Problem((*at, "to"), f"{said}; write a model with more")


def lanes(settings: Sections, raw: Raw) -> Iterator[Problem]:
    """A rule's lane goes through the gateway; nothing of a private one ever does."""
    names = list(raw["lanes"])
    for index, rule in enumerate(settings.gateway.rules):
        at: Path = ("gateway", "rules", index, "when", "lane")
        lane = settings.lanes.get(rule.when.lane) if rule.when.lane else None
        if rule.when.lane and rule.when.lane not in names:
            hint = nearest(rule.when.lane, names) or f"; write one of {', '.join(names)}"
            yield Problem(at, f"there is no lane {show(rule.when.lane)}{hint}")
        elif lane and lane.private:
            yield Problem(at, f"{show(lane.name)} is private: no rule leads out of it; take the rule out")
        elif lane and lane.via != "gateway":
            said = f"{show(lane.name)} goes past the gateway ({lane.via}), where no rule is looked at"
            yield Problem(at, f'{said}; take the rule out, or write lanes.{lane.name}.via = "gateway"')


def order(settings: Sections, _: Raw) -> Iterator[Problem]:
    """A rule has a condition, and requests that reach it: no rule above answers all that it would."""
    rules = settings.gateway.rules
    for index, rule in enumerate(rules):
        at: Path = ("gateway", "rules", index)
        if set(rule.when.model_dump().values()) == {None}:
            said = "without a condition it answers everything; write one of lane, images, tokens_over and thinking"
            yield Problem((*at, "when"), f"{said}, or name the model in lanes")
        elif (above := next((n for n in range(index) if _takes_all(rules[n].when, rule.when)), None)) is not None:
            yield Problem(at, f"it is never reached: rule {above} above answers all that it would; put it before that")


def _takes_all(first: When, then: When) -> bool:
    """Whether all that meets the second meets the first."""
    same = all(getattr(first, name) in (None, getattr(then, name)) for name in ("lane", "images", "thinking"))
    return same and (first.tokens_over is None or (then.tokens_over or 0) >= first.tokens_over)


def _windows(settings: Sections) -> dict[str, int]:
    """Return the least context of each model that has one written down, by each of its names."""
    all_records: list[Backend | Cloud] = [*settings.backends.values(), *settings.clouds.values()]
    records = (each for each in all_records if each.enabled)
    found: dict[str, int] = {}
    for model in (model for record in records for model in record.models.values()):
        if isinstance(model, BackendModel | CloudModel) and model.context_length is not None:
            for name in model.names:
                found[name] = min(model.context_length, found.get(name, model.context_length))
    return found


RULES: list[Rule] = [models, lanes, order]

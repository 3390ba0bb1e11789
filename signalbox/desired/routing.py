"""The routing table: who serves each model, in what order, and who follows. Pure; made of settings once.

Whoever asks which server answers (the gateway's configuration, lanes, bills, readings, health) is handed this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from signalbox.backends import CLOUDS
from signalbox.backends.records import Backend, BackendModel, Cloud, CloudModel, Model
from signalbox.host.shared.route_rules import Rule, When, in_words
from signalbox.settings import Settings
from signalbox.settings.sections.gateway import Rule as Wanted
from signalbox.settings.sections.lanes import Lane


class Deployment(NamedTuple):
    """A model on one server; LiteLLM's word for an entry of its model_list."""

    record: Backend | Cloud
    model: Model

    @property
    def id(self) -> str:
        """How answers' headers and the audit call it: "<record>/<model>"."""
        return f"{self.record.name}/{self.model.name}"

    @property
    def order(self) -> int:
        """When it is asked, among those that have the model: 1 is first."""
        return self.model.order if isinstance(self.model, BackendModel) else 1

    @property
    def payer(self) -> str | None:
        """What its bills go to, in words; None: nobody is billed."""
        return account(self.record)


@dataclass(frozen=True)
class Routing:
    """Who serves what.

    deployments: of all enabled backends and clouds, as settings have them. groups: who has a model, by its own name;
    the first is asked first. own: a model's own name, by each of its names. fallbacks, quota_fallbacks: who follows
    whom, by own names; the latter where a quota is used up. rules: who answers by the kind of request, in order.
    """

    deployments: tuple[Deployment, ...]
    groups: Mapping[str, tuple[Deployment, ...]]
    own: Mapping[str, str]
    fallbacks: Mapping[str, tuple[str, ...]]
    quota_fallbacks: Mapping[str, tuple[str, ...]]
    rules: tuple[Rule, ...] = ()

    def serving(self, name: str) -> tuple[Deployment, ...]:
        """Return who has a model, called by any of its names; nobody, where no enabled record has it."""
        return self.groups[self.own[name]] if name in self.own else ()

    def following(self, name: str, *, on_quota: bool = True) -> list[str]:
        """Return the models that may follow one, in order. on_quota: with those that only a used-up quota allows."""
        own = self.own.get(name, name)
        lists = (self.quota_fallbacks if on_quota else {}, self.fallbacks)
        return list(dict.fromkeys(each for wanted in lists for each in wanted.get(own, ())))

    def answering(self, lane: Lane, name: str) -> tuple[Deployment, ...]:
        """Return who may answer for a model in a lane: through the gateway all that have it, directly one server."""
        if lane.via == "gateway":
            return self.serving(name)
        asked = [{each.record.name for each in self.serving(model)} for model in lane.models.values()]
        one = next(
            each.record.name
            for each in self.serving(lane.models["main"])
            if all(each.record.name in names for names in asked)
        )
        return tuple(each for each in self.serving(name) if each.record.name == one)

    def free(self) -> list[str]:
        """Return the models for which nobody is billed, by all their names."""
        return sorted(name for name in self.own if not any(each.payer for each in self.serving(name)))

    def ruling(self, lane: Lane) -> Iterator[Rule]:
        """Yield the rules that may say who answers in a lane, in order."""
        if lane.via == "gateway":
            yield from (each for each in self.rules if each["when"]["lane"] in (None, lane.name))

    def standing_in(self, lane: Lane, name: str, *, on_quota: bool = True) -> Iterator[tuple[Deployment, ...]]:
        """Yield who answers in a lane, model by model, while nobody does that has this one. on_quota: see following."""
        if lane.via != "gateway" or lane.fallbacks == "none":
            return
        for follower in self.following(name, on_quota=on_quota):
            several = self.groups[follower]
            if lane.fallbacks != "clouds" or several[0].payer:
                yield several


def routing_table(settings: Settings) -> Routing:
    """Return the table of valid settings."""
    records: list[Backend | Cloud] = [*settings.backends.values(), *settings.clouds.values()]
    deployments = tuple(
        Deployment(record, model) for record in records if record.enabled for model in record.models.values()
    )
    groups: dict[str, list[Deployment]] = {}
    for each in deployments:
        groups.setdefault(each.model.name, []).append(each)
    own = {name: each.model.name for each in deployments for name in each.model.names}
    gateway = settings.gateway
    return Routing(
        deployments=deployments,
        groups={name: tuple(sorted(several, key=lambda each: each.order)) for name, several in groups.items()},
        own=own,
        # Where there is none, the models that it would name need not be there either.
        fallbacks=_by_own_names(gateway.fallbacks if gateway.enabled else {}, own),
        quota_fallbacks=_by_own_names(gateway.quota_fallbacks if gateway.enabled else {}, own),
        rules=tuple(_rule(each, own) for each in gateway.rules) if gateway.enabled else (),
    )


def account(record: Backend | Cloud) -> str | None:
    """Return what a record's bills go to, in words; None: nobody is billed."""
    if isinstance(record, Backend):
        return record.payer
    return f"{CLOUDS[str(record.kind)].account} of {record.secret}"


def window(deployments: Iterable[Deployment]) -> int | None:
    """Return the least context of these models in tokens; None where all are Claude's, which Claude Code knows."""
    models = (each.model for each in deployments)
    known = [model.context_length for model in models if isinstance(model, BackendModel | CloudModel)]
    return min((each for each in known if each is not None), default=None)


def _rule(wanted: Wanted, own: Mapping[str, str]) -> Rule:
    asks = wanted.when
    when: When = {
        "lane": asks.lane, "images": asks.images, "tokens_over": asks.tokens_over, "thinking": asks.thinking,
    }  # fmt: skip
    return {"name": in_words(when), "when": when, "to": own[wanted.to]}


def _by_own_names(wanted: Mapping[str, list[str]], own: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Settings may name models by their aliases."""
    return {own[model]: tuple(own[each] for each in after) for model, after in wanted.items() if after}

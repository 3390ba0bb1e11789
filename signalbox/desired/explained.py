"""Who would answer a request, and why, stage by stage, without sending it. Pure; it decides as the gateway does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from signalbox.desired.routing import Deployment, Routing, window
from signalbox.host.shared import route_rules
from signalbox.host.shared.model_names import name_of
from signalbox.host.shared.route_rules import Rule, Traits
from signalbox.settings import Settings
from signalbox.settings.models import is_claude
from signalbox.settings.sections.lanes import Lane

OPEN = (
    "what cannot be known before the first word: whether a server answers, has a quota left and enough context loaded; "
    "what budgets have left; whether an earlier request of the same conversation met a rule, as it stays where that "
    "moved it"
)


@dataclass(frozen=True)
class Explained:
    """Who would answer.

    stages: what is looked at, in this order, each with what comes of it, in words. model: the one that is asked first;
    None: nobody has it. rule: the one that says so, in words; None: none does. backends: who has the model, in order.
    """

    stages: list[tuple[str, str]]
    model: str | None
    rule: str | None
    backends: list[str]


def explained(settings: Settings, routing: Routing, lane: Lane, document: Mapping[str, Any]) -> Explained:
    """Return who would answer a request, in Anthropic's format, of a lane."""
    found = route_rules.traits(document)
    asked = name_of(str(document.get("model", "")))
    stages = [("request", _of_a_request(asked, found)), ("lane", _of_a_lane(lane, asked))]
    rule, told = _rule(routing, lane, asked, found)
    stages.append(("rules", told))
    model = routing.own.get(rule["to"] if rule else asked)
    if lane.via == "first-party":
        return Explained([*stages, ("answers", f"{asked} at Anthropic's API, with {lane.credential}")], asked, None, [])
    several = routing.answering(lane, model) if model else ()
    if model is None or not several:
        stages.append(("answers", f"nobody: no enabled backend or cloud has a model {asked}"))
        return Explained(stages, None, None, [])
    stages.append(("answers", " and then ".join(_who(each) for each in several)))
    stages += [("room", each) for each in _room(several, found)]
    stages += [("search", each) for each in _search(settings, several, document)]
    stages += [(stage, words) for stage, words in _following(routing, lane, model)]
    if lane.via == "gateway":
        stages.append(("open", OPEN))
    return Explained(stages, model, rule["name"] if rule else None, [each.record.name for each in several])


def _of_a_request(asked: str, found: Traits) -> str:
    words = [
        f"asks for {asked or 'no model'}",
        f"about {found.tokens} tokens",
        "with images" if found.images else "no images",
        "with thinking" if found.thinking else "no thinking",
        "a turn of a conversation" if found.converses else "a question beside the conversation, without tools",
    ]
    return ", ".join(words)


def _of_a_lane(lane: Lane, asked: str) -> str:
    slots = [slot for slot, name in lane.models.items() if name == asked]
    whose = f"{asked} is its {', '.join(slots)}" if slots else f"{asked} is in none of its slots, and asked for by name"
    how = {"gateway": "through the gateway", "direct": "straight to one server", "first-party": "to Anthropic's API"}
    return f"{lane.name} goes {how[lane.via]}; {whose}"


def _rule(routing: Routing, lane: Lane, asked: str, found: Traits) -> tuple[Rule | None, str]:
    """Return the rule that says who answers, and what is told of all of them."""
    ruling = list(routing.ruling(lane))
    if not ruling:
        return None, "none is for this lane" if lane.via == "gateway" else "none: it goes past the gateway"
    rule = route_rules.first(ruling, lane.name, found)
    if rule is None:
        return None, "none fits: " + "; ".join(f"{each['name']} -> {each['to']}" for each in ruling)
    said = f"the first that fits: {rule['name']} -> {rule['to']}"
    if route_rules.waits(lane.fallbacks, asked, rule["to"], routing.free()):
        return None, f'{said}, which bills, and the lane asks first (fallbacks = "ask"); until then {asked} answers'
    return rule, said


def _who(deployment: Deployment) -> str:
    return f"{deployment.model.name} at {deployment.record.name}, billed to {deployment.payer or 'nobody'}"


def _room(several: tuple[Deployment, ...], found: Traits) -> Iterator[str]:
    least = window(several)
    if least is not None and found.tokens > least:
        yield f"too long for {least} tokens of context, as written in the settings: it refuses, and the next is asked"


def _search(settings: Settings, several: tuple[Deployment, ...], document: Mapping[str, Any]) -> Iterator[str]:
    if route_rules.searches(document) and not is_claude(*several[0]):
        by = settings.gateway.web_search
        yield f"answered by {by.kind} at {by.url}" if by else "it cannot search the web, so the next is asked"


def _following(routing: Routing, lane: Lane, model: str) -> Iterator[tuple[str, str]]:
    """Yield who is asked when all of these fail, and whom the lane leaves out."""
    on_failure = [_who(each[0]) for each in routing.standing_in(lane, model, on_quota=False)]
    on_quota = [_who(each[0]) for each in routing.standing_in(lane, model)]
    yield "fails", ", then ".join(on_failure) or "nobody follows"
    if on_quota != on_failure:
        yield "quota", f"where its quota is used up: {', then '.join(on_quota)}"
    may = [each[0].model.name for each in routing.standing_in(lane, model)]
    if left := [each for each in routing.following(model) if each not in may]:
        yield "left out", f'{", ".join(left)}: the lane\'s fallbacks are "{lane.fallbacks}"'
    if lane.fallbacks == "ask" and any(each[0].payer for each in routing.standing_in(lane, model)):
        yield "asks", "who bills follows only once somebody has allowed it for the session (claude-switch allow)"

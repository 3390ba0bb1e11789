"""From settings to who pays for a lane, in words. Pure; what a person has written is added, and hides nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from signalbox.desired.routing import Deployment, Routing, account
from signalbox.settings import Settings
from signalbox.settings.sections.lanes import Lane

_FREE_UNLESS = "is free unless the local server fails: then {}"


def billed(settings: Settings, routing: Routing, lane: Lane) -> str:
    """Return who pays: for what the lane's models answer, and for what answers when they fail.

    A person's own words are added to that, and stand for nobody.
    """
    words = _of_a_key(settings, lane) if lane.via == "first-party" else _of_models(routing, lane)
    words = "; ".join([words, *_of_rules(routing, lane)])
    return words if not lane.billed or lane.billed in words else f"{words} ({lane.billed})"


def _of_rules(routing: Routing, lane: Lane) -> Iterator[str]:
    """Yield who else pays, and for which requests."""
    own = accounts(each for name in lane.models.values() for each in routing.serving(name))
    for rule in routing.ruling(lane):
        if others := [each for each in accounts(routing.serving(rule["to"])) if each not in own]:
            yield f"{rule['name']}: {' and '.join(others)}"


def _of_models(routing: Routing, lane: Lane) -> str:
    payers = {slot: accounts(routing.serving(name)) for slot, name in lane.models.items()}
    first = _once(each for several in payers.values() for each in several)
    free = [slot for slot, several in payers.items() if not several]
    after_free = _later(routing, lane, free)
    if not first and after_free:
        return f"nobody, unless the local server fails: then {' or '.join(after_free)}"
    if not first:
        return "nobody; nothing leaves your network" if lane.private else "nobody"
    words = [" and ".join(first)]
    if free:
        what = "background work" if free == ["haiku"] else ", ".join(free)
        after = "the same" if after_free == first else " or ".join(after_free)
        words.append(f"{what} {_FREE_UNLESS.format(after)}" if after else f"{what} is local and free")
    after_paid = _later(routing, lane, [slot for slot in payers if slot not in free])
    if later := [each for each in after_paid if each not in first]:
        words.append(f"when that fails, {' or '.join(later)}")
    return "; ".join(words)


def instead(routing: Routing, lane: Lane) -> list[dict[str, str | None]]:
    """Return who answers, in order, while nobody does that has the lane's main model.

    model, at: its name and whose it is. billed: the account that pays; None: nobody.
    """
    first = (several[0] for several in routing.standing_in(lane, lane.models.get("main", ""), on_quota=False))
    return [{"model": each.model.name, "at": each.record.name, "billed": each.payer} for each in first]


def accounts(several: Iterable[Deployment]) -> list[str]:
    """Return what the bills of these go to, each once; none for what is on one's own network."""
    return _once(each.payer for each in several if each.payer)


def _of_a_key(settings: Settings, lane: Lane) -> str:
    if lane.credential == "none":
        return f"the account that has logged in in {lane.config_dir}"
    own = [cloud for cloud in settings.clouds.values() if cloud.secret == lane.credential]
    return str(account(own[0])) if own else f"the Claude API account of {lane.credential}"


def _later(routing: Routing, lane: Lane, slots: Iterable[str]) -> list[str]:
    """Return who pays for the models that may follow those of these slots."""
    names = _once(name for slot, name in lane.models.items() if slot in slots)
    return accounts(each for name in names for several in routing.standing_in(lane, name) for each in several)


def _once(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))

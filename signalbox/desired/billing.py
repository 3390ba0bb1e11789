"""From settings to who pays for a lane, in words. Pure; a text that a person has written in its place is kept."""

from __future__ import annotations

from collections.abc import Iterable

from signalbox.desired.routing import Deployment, Routing, account
from signalbox.settings import Settings
from signalbox.settings.sections.lanes import Lane


def billed(settings: Settings, routing: Routing, lane: Lane) -> str:
    """Return who pays: for what the lane's models answer, and for what answers when they fail."""
    if lane.billed:
        return lane.billed
    if lane.via == "first-party":
        return _of_a_key(settings, lane)
    payers = {slot: accounts(routing.serving(name)) for slot, name in lane.models.items()}
    first = _once(each for several in payers.values() for each in several)
    free = [slot for slot, several in payers.items() if not several]
    later = [each for each in _later(routing, lane) if each not in first]
    if not first and later:
        return f"nobody, unless the local server fails: then {' or '.join(later)}"
    if not first:
        return "nobody; nothing leaves your network" if lane.private else "nobody"
    words = [" and ".join(first)]
    if free:
        words.append("background work is local and free" if free == ["haiku"] else f"{', '.join(free)}: local and free")
    if later:
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


def _later(routing: Routing, lane: Lane) -> list[str]:
    """Return who pays for the models that may follow the lane's own."""
    return accounts(
        each for name in _once(lane.models.values()) for several in routing.standing_in(lane, name) for each in several
    )


def _once(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))

"""From settings to who pays for a lane, in words. Pure; a text that a person has written in its place is kept."""

from __future__ import annotations

from collections.abc import Iterable

from signalbox.backends import CLOUDS
from signalbox.desired.gateway_config import boxes, following
from signalbox.settings import Settings
from signalbox.settings.records import Backend, Cloud, Lane, Model


def billed(settings: Settings, lane: Lane) -> str:
    """Return who pays: for what the lane's models answer, and for what answers when they fail."""
    if lane.billed:
        return lane.billed
    if lane.via == "first-party":
        return _of_a_key(settings, lane)
    payers = {slot: _payers(settings, [model]) for slot, model in lane.models.items()}
    first = _once(each for several in payers.values() for each in several)
    free = [slot for slot, several in payers.items() if not several]
    later = [each for each in _later(settings, lane) if each not in first]
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


def instead(settings: Settings, lane: Lane) -> list[dict[str, str | None]]:
    """Return who answers, in order, while nobody does that has the lane's main model.

    model, at: its name and whose it is. billed: the account that pays; None: nobody.
    """
    if lane.via != "gateway" or lane.fallbacks == "none":
        return []
    names = _names(settings)
    found = []
    for own in _once(model.name for _, model in names[lane.models["main"]]):
        for name in following(settings, own, on_quota=False):
            record = names[name][0][0]
            billed = account(record)
            if billed or lane.fallbacks != "clouds":
                found.append({"model": name, "at": record.name, "billed": billed})
    return found


def _of_a_key(settings: Settings, lane: Lane) -> str:
    if lane.credential == "none":
        return f"the account that has logged in in {lane.config_dir}"
    clouds = [cloud for cloud in settings.clouds.values() if cloud.secret == lane.credential]
    return str(account(clouds[0])) if clouds else f"the Claude API account of {lane.credential}"


def _later(settings: Settings, lane: Lane) -> list[str]:
    """Return who pays for the models that may follow the lane's own."""
    if lane.via == "direct" or lane.fallbacks == "none":
        return []
    own = [model.name for name in lane.models.values() for _, model in _names(settings).get(name, ())]
    return _payers(settings, [each for name in _once(own) for each in following(settings, name)])


def _payers(settings: Settings, models: list[str]) -> list[str]:
    """Return the accounts that answers of these models are billed to; none for models on one's own network."""
    return accounts(box for name in models for box in _names(settings).get(name, ()))


def accounts(several: Iterable[tuple[Backend | Cloud, Model]]) -> list[str]:
    """Return what the bills of these go to, each once; none for what is on one's own network."""
    return _once(payer for record, _ in several if (payer := account(record)))


def account(record: Backend | Cloud) -> str | None:
    """Return what the bills go to; None: nobody is billed."""
    if isinstance(record, Backend):
        return record.payer
    return f"{CLOUDS[str(record.kind)].ACCOUNT} of {record.secret}"


def _names(settings: Settings) -> dict[str, list[tuple[Backend | Cloud, Model]]]:
    return {name: several for several in boxes(settings).values() for _, model in several for name in model.names}


def _once(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))

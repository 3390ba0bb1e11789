"""Models by the names that they have at the gateway, and who bills for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from signalbox import backends
from signalbox.backends.records import Backend, Cloud, CloudModel, Model
from signalbox.settings.layers import Path
from signalbox.settings.sections import Sections
from signalbox.settings.sections.lanes import Lane


def who_bills(settings: Sections) -> Iterator[Backend | Cloud]:
    """Yield the enabled clouds, and the enabled backends with a payer."""
    yield from (each for each in settings.clouds.values() if each.enabled)
    yield from (each for each in settings.backends.values() if each.enabled and not each.own)


# As measured with 2.1.329: Claude Code knows a name when such a one stands in it as a whole.
CLAUDE = re.compile(r"(?<![a-z0-9])claude-(fable|opus|sonnet|haiku)-\d+(-\d+)?(?![\d-])")


def taken_for_claude(name: str) -> bool:
    """Whether Claude Code takes a model of this name for one of its vendor's, with that one's window."""
    return name.lower().startswith("claude") or bool(CLAUDE.search(name.lower()))


def is_claude(record: Backend | Cloud, model: Model) -> bool:
    """Whether a model is one of Anthropic's, wherever it is served."""
    kind = backends.CLOUDS.get(str(record.kind))
    return bool(
        kind
        and kind.serves_claude
        and isinstance(record, Cloud)
        and isinstance(model, CloudModel)
        and model.context_length is None
    )


def asked_and_following(settings: Sections, lane: Lane) -> tuple[list[str], list[str]]:
    """Return the models that a lane asks for, itself or by a rule, and those that may follow there, by own names."""
    records: list[Backend | Cloud] = [*settings.backends.values(), *settings.clouds.values()]
    served = [(record, model) for record in records if record.enabled for model in record.models.values()]
    own = {name: model.name for _, model in served for name in model.names}
    local = {model.name for record, model in served if isinstance(record, Backend) and record.own}
    asked = [own[each] for each in lane.models.values() if each in own]
    if lane.via == "gateway":
        rules = [each for each in settings.gateway.rules if each.when.lane in (None, lane.name)]
        asked += [own[each.to] for each in rules if each.to in own]
    if lane.via != "gateway" or lane.fallbacks == "none":
        return asked, []
    following = [*settings.gateway.fallbacks.items(), *settings.gateway.quota_fallbacks.items()]
    later = [own[each] for first, then in following if own.get(first) in asked for each in then if each in own]
    return asked, [each for each in later if lane.fallbacks != "clouds" or each not in local]


def model_names(raw: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """Every name and alias of an enabled backend's or cloud's model, with the path where it stands.

    Works on merged data with records filled, valid or not: an unfinished model still has its name.
    """
    for section in ("backends", "clouds"):
        for record, data in raw[section].items():
            models = data.get("models")
            if data.get("enabled") is False or not isinstance(models, dict):
                continue
            for name, model in models.items():
                path: Path = (section, record, "models", str(name))
                yield str(name), path
                aliases = model.get("aliases") if isinstance(model, dict) else None
                if isinstance(aliases, list):
                    yield from (
                        (alias, (*path, "aliases", index))
                        for index, alias in enumerate(aliases)
                        if isinstance(alias, str)
                    )


def known_models(settings: Sections, raw: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """The same for rules that look names up: not applied (IncompleteError) while a record has no name at all."""
    _ = settings.backends, settings.clouds
    return model_names(raw)

"""From settings to what the launcher on a host knows: /etc/signalbox/lanes.json. Pure, and nothing secret."""

from __future__ import annotations

from typing import Any

from signalbox.backends import kind_of
from signalbox.routes import boxes
from signalbox.settings import Account, Settings
from signalbox.settings.records import Backend, BackendModel, Cloud, CloudModel, Lane, Model

Box = tuple[Backend | Cloud, Model]
Served = dict[str, list[Box]]  # by each of a model's names: who has it, the first to be asked first

# What Claude Code 2.1.329 reads; https://code.claude.com/docs/en/env-vars
_MODEL_VARIABLES = {
    "main": "ANTHROPIC_MODEL",
    "opus": "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "sonnet": "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "haiku": "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "fable": "ANTHROPIC_DEFAULT_FABLE_MODEL",
    "subagent": "CLAUDE_CODE_SUBAGENT_MODEL",
}
_ALWAYS = {
    "DISABLE_AUTOUPDATER": "1",  # the pinned version stays
    "DISABLE_UPDATES": "1",
}


def lane_records(settings: Settings) -> dict[str, Any]:
    """Return the launcher's records: for whom, where claude is, and each enabled lane by name."""
    claude = settings.service_account
    return {
        "user": claude.name,
        "claude": claude.path(".local/bin/claude"),
        "flags": list(settings.launchers.flags),
        "gateway": {
            "url": _gateway_url(settings),
            "user": settings.gateway_account.name,
        },
        "lanes": {name: _record(settings, lane, claude) for name, lane in settings.lanes.items() if lane.enabled},
    }


def _record(settings: Settings, lane: Lane, claude: Account) -> dict[str, Any]:
    models: Served = {
        name: several for several in boxes(settings).values() for _, model in several for name in model.names
    }
    environment = {**_ALWAYS, "CLAUDE_CONFIG_DIR": claude.path(str(lane.config_dir))}
    if lane.via != "first-party":
        environment |= {
            "ANTHROPIC_BASE_URL": _base_url(settings, lane, models),
            # A gateway cannot forward every beta; one that fails reads as "model may not exist".
            "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1",
            **{_MODEL_VARIABLES[slot]: _asked_for(lane, models, name) for slot, name in lane.models.items()},
        }
        environment |= _of_an_unknown_main_model(_used(lane, models, lane.models["main"]))
    if lane.via == "gateway":
        environment["CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY"] = "1"
    return {
        "via": lane.via,
        "models": dict(lane.models),
        "environment": environment,
        "key_file": _key_file(lane, claude),
        "billed": lane.billed,
        "private": lane.private,
        "effort": lane.effort,
    }


def _gateway_url(settings: Settings) -> str:
    return f"http://127.0.0.1:{settings.gateway.port}"


def _used(lane: Lane, models: Served, name: str) -> list[Box]:
    """Return who may answer for a model in this lane: through the gateway all that have it, directly one server."""
    if lane.via == "gateway":
        return models[name]
    shared = [
        record.name
        for record, _ in models[lane.models["main"]]
        if all(any(other.name == record.name for other, _ in models[each]) for each in lane.models.values())
    ]
    return [box for box in models[name] if box[0].name == shared[0]]


def _base_url(settings: Settings, lane: Lane, models: Served) -> str:
    if lane.via == "gateway":
        return _gateway_url(settings)
    ((record, _),) = _used(lane, models, lane.models["main"])
    return str(kind_of(record).native_anthropic(record))


def _asked_for(lane: Lane, models: Served, name: str) -> str:
    # The gateway knows names; a server itself knows its own ids.
    return name if lane.via == "gateway" else str(_used(lane, models, name)[0][1].id)


def _of_an_unknown_main_model(several: list[Box]) -> dict[str, str]:
    """Return what Claude Code must be told of a model that it does not know; nothing of a Claude."""
    known = [model for _, model in several if isinstance(model, BackendModel | CloudModel)]
    windows = [model.context_length for model in known if model.context_length is not None]
    outputs = [model.max_output_tokens for model in known if model.max_output_tokens is not None]
    if not windows:
        return {}
    return {
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(min(windows)),
        # Its default of 32000 would not fit beside the prompt.
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(min(outputs)),
        # A header in the system prompt that differs in each request defeats the server's prompt cache.
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
    }


def lane_secrets(settings: Settings) -> list[str]:
    """Return the names of the secrets that lanes use without the gateway, sorted: the service user holds those."""
    credentials = {lane.credential for lane in settings.lanes.values() if lane.enabled and lane.via != "first-party"}
    return sorted(credentials - {"gateway", "none"})


def _key_file(lane: Lane, claude: Account) -> str | None:
    if lane.credential == "none" or lane.via == "first-party":
        return None
    return claude.path(f".config/signalbox/{lane.credential}.key")

"""From settings to what the launcher on a host knows: /etc/signalbox/lanes.json. Pure, and nothing secret."""

from __future__ import annotations

from typing import Any

from signalbox.backends import kind_of
from signalbox.routes import served
from signalbox.settings import Account, Settings
from signalbox.settings.records import Backend, BackendModel, Cloud, Lane, Model

Served = dict[str, tuple[Backend | Cloud, Model]]

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
    models: Served = {name: (record, model) for record, model in served(settings) for name in model.names}
    environment = {**_ALWAYS, "CLAUDE_CONFIG_DIR": claude.path(str(lane.config_dir))}
    if lane.via != "first-party":
        environment |= {
            "ANTHROPIC_BASE_URL": _base_url(settings, lane, models),
            # A gateway cannot forward every beta; one that fails reads as "model may not exist".
            "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1",
            **{_MODEL_VARIABLES[slot]: _asked_for(lane, models, name) for slot, name in lane.models.items()},
        }
        environment |= _of_a_local_main_model(models[lane.models["main"]][1])
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


def _base_url(settings: Settings, lane: Lane, models: Served) -> str:
    if lane.via == "gateway":
        return _gateway_url(settings)
    record, _ = models[lane.models["main"]]
    return str(kind_of(record).native_anthropic(record))


def _asked_for(lane: Lane, models: Served, name: str) -> str:
    # The gateway knows names; a server itself knows its own ids.
    return name if lane.via == "gateway" else str(models[name][1].id)


def _of_a_local_main_model(model: Model) -> dict[str, str]:
    """Return what Claude Code must be told of a model that it does not know; nothing for a cloud's."""
    if not isinstance(model, BackendModel):
        return {}
    return {
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(model.context_length),
        # Its default of 32000 would not fit beside the prompt.
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(model.max_output_tokens),
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

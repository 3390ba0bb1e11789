"""From settings to what the launcher on a host knows: /etc/signalbox/lanes.json. Pure, and nothing secret."""

from __future__ import annotations

from typing import Any

from signalbox.backends import backend_kind, kind_of, sight_of
from signalbox.desired.billing import billed, instead
from signalbox.desired.claude_settings import LEAN, Choices, claude_settings, judged
from signalbox.desired.context_readings import of_boxes
from signalbox.desired.gateway_config import boxes, window
from signalbox.desired.secret_paths import lane_secret
from signalbox.host.launcher.backends_env import OF_A_SERVER
from signalbox.host.shared.context import LEAN as LEAN_OPENING
from signalbox.settings import Account, Settings
from signalbox.settings.records import Backend, BackendModel, Cloud, CloudModel, Lane, Model
from signalbox.settings.sections import Handover

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
_ANTHROPIC = "https://api.anthropic.com"  # where Claude Code goes by itself
_QUIET = {
    # Without it Claude Code asks its vendor what there is in the way of MCP servers, and more.
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    # Without it the first session at a terminal fetches its vendor's plugins, from there or from GitHub.
    "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL": "1",
}
PROGRAM = "/usr/local/lib/signalbox/launcher/launch.py"


def lane_records(settings: Settings) -> dict[str, Any]:
    """Return the launcher's records: for whom, where claude is, and each enabled lane by name."""
    claude = settings.service_account
    return {
        "user": claude.name,
        "claude": claude.path(".local/bin/claude"),
        "flags": list(settings.launchers.flags),
        "managed": "/etc/claude-code",
        "audit": "/var/lib/signalbox/audit/requests.jsonl",
        "gateway": {
            "url": _gateway_url(settings),
            "user": settings.gateway_account.name,
        },
        "sessions_reopen": settings.launchers.reopen_sessions,
        "escalation": _handover(settings.launchers.escalation),
        "dispatch": {**_handover(settings.launchers.dispatch), "parallel": settings.launchers.dispatch.parallel},
        "settings": {"cleanupPeriodDays": settings.sessions.keep_days},  # of the lanes of ~/.claude-backends.env, too
        "judged": judged(PROGRAM),  # of these alone
        "lanes": {name: _record(settings, name, lane, claude) for name, lane in settings.lanes.items() if lane.enabled},
    }


def _handover(handover: Handover) -> dict[str, Any]:
    return {"lane": handover.lane, "timeout": handover.timeout_seconds, "budget": handover.budget_usd}


def _record(settings: Settings, name: str, lane: Lane, claude: Account) -> dict[str, Any]:
    models: Served = {
        each: several for several in boxes(settings).values() for _, model in several for each in model.names
    }
    directory = claude.path(str(lane.config_dir))
    environment = {
        **_ALWAYS,
        "CLAUDE_CONFIG_DIR": directory,
        # Where a login of Anthropic's other tools would be found: not a lane's business.
        "ANTHROPIC_CONFIG_DIR": f"{directory}/anthropic",
    }
    if lane.via == "first-party":
        base_url = _first_party_url(settings, lane)
        environment |= {} if base_url == _ANTHROPIC else {"ANTHROPIC_BASE_URL": base_url}
    else:
        base_url = _base_url(settings, lane, models)
        environment |= {"ANTHROPIC_BASE_URL": base_url, **_of_models(lane, models)}
    if lane.via == "gateway":
        environment |= {
            "ANTHROPIC_CUSTOM_HEADERS": f"x-signalbox-lane: {name}",
            "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1",
            "DISABLE_TELEMETRY": "1",  # it goes to the vendor, past the gateway
        }
    if lane.via == "direct":
        environment |= _patience(settings)
    if lane.private or not _of_clouds(lane, models):
        environment |= _QUIET
    context = None if lane.via == "first-party" else window(_used(lane, models, lane.models["main"]))
    lean = (lane.prompt or ("full" if context is None else "lean")) == "lean"
    environment |= LEAN if lean else {}
    return {
        "via": lane.via,
        "models": dict(lane.models),
        "environment": environment,
        "goes_to": base_url,
        "key_file": _key_file(settings, lane, claude),
        "key_variable": _key_variable(lane),
        "billed": billed(settings, lane),
        "private": lane.private,
        "effort": lane.effort,
        "permission_mode": lane.permission_mode,
        "prompt": "lean" if lean else "full",
        "settings": claude_settings(
            settings,
            lane,
            lean=lean,
            program=PROGRAM,
            choices=_choices(settings, lane, models),
        ),
        "context": context,
        "servers": _servers(lane, models),
        "main_servers": _main_servers(lane, models),
        "instead": instead(settings, lane),
        "asks": lane.fallbacks == "ask",
        "readings": _readings(lane, models, lean=lean),
        "sight": _sight(lane, models),
        "slots": _slots(lane, models),
    }


def _of_clouds(lane: Lane, models: Served) -> bool:
    """Return whether a cloud answers one of the lane's models, its own fallbacks aside."""
    if lane.via == "first-party":
        return True
    return any(isinstance(record, Cloud) for name in lane.models.values() for record, _ in _used(lane, models, name))


def _patience(settings: Settings) -> dict[str, str]:
    """Return how long Claude Code itself waits for a server that says nothing: no gateway bounds it there."""
    silence = str(settings.gateway.stream_timeout_seconds * 1000)
    return {
        "API_TIMEOUT_MS": silence,  # until an answer begins
        # Between two pieces of it: of bytes, 10 s at the least, and of events, 300 s at the least.
        "CLAUDE_ENABLE_BYTE_WATCHDOG": "1",
        "CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS": silence,
        "CLAUDE_STREAM_IDLE_TIMEOUT_MS": silence,
        "CLAUDE_CODE_MAX_RETRIES": "3",  # it tries ten times by itself, and says nothing meanwhile
    }


def _of_models(lane: Lane, models: Served) -> dict[str, str]:
    """Return what Claude Code is told of the lane's models."""
    several = _used(lane, models, lane.models["main"])
    record, main = several[0]
    asked = _asked_for(lane, models, lane.models["main"])
    return {
        # A gateway cannot forward every beta; one that fails reads as "model may not exist".
        "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1",
        **{_MODEL_VARIABLES[slot]: _asked_for(lane, models, name) for slot, name in lane.models.items()},
        # What "Default" in /model leads to; Claude Code has a default of its own otherwise.
        "ANTHROPIC_DEFAULT_MODEL": asked,
        # For where Claude Code lists its own models in /model: a person may have said so.
        "ANTHROPIC_CUSTOM_MODEL_OPTION": asked,
        "ANTHROPIC_CUSTOM_MODEL_OPTION_NAME": f"{main.id} ({record.name})",
        **_of_models_to_choose(lane, models),
        **(OF_A_SERVER if lane.via == "direct" else _without_late_system(lane, models)),
        **_of_an_unknown_main_model(several),
    }


def _servers(lane: Lane, models: Served) -> dict[str, str]:
    """Return the servers on the person's own network that answer in the lane, with what to ask each, free of charge."""
    names = () if lane.via == "first-party" else lane.models.values()
    records = [record for name in names for record, _ in _used(lane, models, name)]
    return {
        record.name: kind_of(record).probe(record).url
        for record in records
        if isinstance(record, Backend) and record.own
    }


def _main_servers(lane: Lane, models: Served) -> dict[str, str]:
    """Return who has the main model of a lane through the gateway, clouds too, with what to ask each."""
    boxes_of_main = _used(lane, models, lane.models["main"]) if lane.via == "gateway" else []
    return {record.name: kind_of(record).probe(record).url for record, _ in boxes_of_main}


def _readings(lane: Lane, models: Served, *, lean: bool) -> list[dict[str, Any]]:
    """Return what to ask the servers of the main model about its context; the launcher never sees a token's name.

    Only the gateway's requests bring a context along: in a direct lane it is the loaded one that counts. Of a server
    that does not tell there is no url.
    """
    if lane.via == "first-party":
        return []
    found: list[dict[str, Any]] = []
    for record, model in _used(lane, models, lane.models["main"]):
        ident, readings = f"{record.name}/{model.name}", list(of_boxes([(record, model)]))
        found += [
            {key: value for key, value in reading.items() if key != "secret"}
            | {"id": ident, "keyed": reading["secret"] is not None}
            | ({} if lane.via == "gateway" else {"on_demand": False})
            | ({"opening": LEAN_OPENING} if lean else {})
            for reading in readings
        ]
        if not readings and isinstance(model, BackendModel):
            found.append({"id": ident, "url": None, "context_length": model.context_length})
    return found


def _sight(lane: Lane, models: Served) -> dict[str, Any] | None:
    """Return what to ask of the server of the main model about images and tools; None: nothing.

    Of images the gateway asks by itself. Of a model that several have, each may say another thing.
    """
    if lane.via == "first-party":
        return None
    (record, model), *others = _used(lane, models, lane.models["main"])
    if others or not isinstance(record, Backend) or not isinstance(model, BackendModel):
        return None
    sight = sight_of(record, model)
    if sight is None or (lane.via == "gateway" and not sight["tools"]):
        return None
    return {key: value for key, value in sight.items() if key != "secret"}


def _slots(lane: Lane, models: Served) -> list[str]:
    """Return where servers of the main model tell how far they have read a prompt, those that want no key for it.

    A direct lane has the server's key, if there is one.
    """
    if lane.via == "first-party":
        return []
    found = [
        backend_kind(record).slots(record, model)
        for record, model in _used(lane, models, lane.models["main"])
        if isinstance(record, Backend) and isinstance(model, BackendModel)
        if record.token is None or lane.via == "direct"
    ]
    return [url for url in found if url]


def _first_party_url(settings: Settings, lane: Lane) -> str:
    """Return the API's address: that of the cloud whose key the lane has, else Anthropic's."""
    urls = [cloud.url for cloud in settings.clouds.values() if cloud.secret == lane.credential and cloud.url]
    return str(urls[0]) if urls else _ANTHROPIC


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


def _choices(settings: Settings, lane: Lane, models: Served) -> Choices:
    """Return what /model offers: each model once, the lane's own first; nothing where Anthropic's own list is right."""
    if lane.via == "first-party":
        return []
    others = boxes(settings) if lane.via == "gateway" else {}
    own = {name: several for name in lane.models.values() if (several := _used(lane, models, name))}
    found: dict[str, list[Box]] = {}
    for name, several in {**own, **others}.items():
        # An alias is no further model.
        found.setdefault(several[0][1].name if lane.via == "gateway" else _asked_for(lane, models, name), several)
    return list(found.items())


def _of_models_to_choose(lane: Lane, models: Served) -> dict[str, str]:
    """Return the window of what /model may choose from the gateway's list and Claude Code does not know.

    It would assume 1M tokens, and never compact. Claude's own names keep their own windows.
    """
    least = window(box for several in models.values() for box in several) if lane.via == "gateway" else None
    return {"CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(least)} if least else {}


def _without_late_system(lane: Lane, models: Served) -> dict[str, str]:
    """Return what keeps Claude Code from sending late system messages to the lane's models that are not Claude's."""
    names = [name for name in dict.fromkeys(lane.models.values()) if window(_used(lane, models, name)) is not None]
    said = ";".join(f"{name}=-mid_conv_system" for name in names)
    return {"CLAUDE_CODE_MODEL_CAPABILITIES": said} if said else {}


def _of_an_unknown_main_model(several: list[Box]) -> dict[str, str]:
    """Return what Claude Code must be told of a model that it does not know; nothing of a Claude."""
    least = window(several)
    if least is None:
        return {}
    outputs = [model.max_output_tokens for _, model in several if isinstance(model, BackendModel | CloudModel)]
    return {
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(least),
        # It takes a model that it does not know for one that has 1M tokens, too, and then never compacts.
        "CLAUDE_CODE_DISABLE_1M_CONTEXT": "1",
        # Its default of 32000 would not fit beside the prompt.
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(min(each for each in outputs if each is not None)),
        # A header in the system prompt that differs in each request defeats the server's prompt cache.
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
    }


def lane_secrets(settings: Settings) -> list[str]:
    """Return the names of the secrets that lanes use without the gateway, sorted: the service user holds those."""
    credentials = {lane.credential for lane in settings.lanes.values() if lane.enabled}
    return sorted(credentials - {"gateway", "none"})


def _key_file(settings: Settings, lane: Lane, claude: Account) -> str | None:
    return None if lane.credential == "none" else lane_secret(settings.secrets, claude, lane.credential)


def _key_variable(lane: Lane) -> str | None:
    """Return the variable that Claude Code takes the lane's key from; None for a lane with a login of its own."""
    if lane.via != "first-party":
        return "ANTHROPIC_AUTH_TOKEN"
    return None if lane.credential == "none" else "ANTHROPIC_API_KEY"

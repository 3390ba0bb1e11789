"""From settings to what the launcher on a host knows: /etc/signalbox/lanes.json. Pure, and nothing secret."""

from __future__ import annotations

from typing import Any

from signalbox.backends import backend_kind, kind_of, sight_of
from signalbox.backends.records import Backend, BackendModel, Cloud, CloudModel
from signalbox.desired.billing import billed, instead
from signalbox.desired.claude_settings import LEAN, Choices, claude_settings, has_room, judged
from signalbox.desired.context_readings import of_deployments
from signalbox.desired.routing import Deployment, Routing, window
from signalbox.desired.secret_paths import lane_secret
from signalbox.host.shared import claude_environment
from signalbox.host.shared.context import LEAN as LEAN_OPENING
from signalbox.settings import Account, Settings
from signalbox.settings.sections.lanes import Lane
from signalbox.settings.sections.launchers import Handover

_ANTHROPIC = "https://api.anthropic.com"  # where Claude Code goes by itself
PROGRAM = "/usr/local/lib/signalbox/launcher/launch.py"


def lane_records(settings: Settings, routing: Routing) -> dict[str, Any]:
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
        # How long a server may say nothing in lanes that no gateway bounds, those of ~/.claude-backends.env among them.
        "silence_seconds": settings.gateway.stream_timeout_seconds,
        "sessions_reopen": settings.launchers.reopen_sessions,
        "escalation": _handover(settings.launchers.escalation),
        "dispatch": {**_handover(settings.launchers.dispatch), "parallel": settings.launchers.dispatch.parallel},
        "settings": {"cleanupPeriodDays": settings.sessions.keep_days},  # of the lanes of ~/.claude-backends.env, too
        "judged": judged(PROGRAM),  # of these alone
        "lanes": {
            name: _record(settings, routing, lane, claude) for name, lane in settings.lanes.items() if lane.enabled
        },
    }


def _handover(handover: Handover) -> dict[str, Any]:
    return {"lane": handover.lane, "timeout": handover.timeout_seconds, "budget": handover.budget_usd}


def _record(settings: Settings, routing: Routing, lane: Lane, claude: Account) -> dict[str, Any]:
    directory = claude.path(str(lane.config_dir))
    environment = claude_environment.of_a_directory(directory)
    if lane.via == "first-party":
        base_url = _first_party_url(settings, lane)
        environment |= {} if base_url == _ANTHROPIC else {"ANTHROPIC_BASE_URL": base_url}
    else:
        base_url = _base_url(settings, routing, lane)
        environment |= {"ANTHROPIC_BASE_URL": base_url, **_of_models(routing, lane)}
    if lane.via == "gateway":
        environment |= {
            "ANTHROPIC_CUSTOM_HEADERS": f"x-signalbox-lane: {lane.name}",
            "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1",
            "DISABLE_TELEMETRY": "1",  # it goes to the vendor, past the gateway
        }
    if lane.via == "direct":
        environment |= claude_environment.of_patience(settings.gateway.stream_timeout_seconds)
    if lane.private or not _of_clouds(routing, lane):
        environment |= claude_environment.QUIET
    context = None if lane.via == "first-party" else window(routing.answering(lane, lane.models["main"]))
    lean = (lane.prompt or ("full" if context is None else "lean")) == "lean"
    environment |= LEAN if lean else {}
    without_room = _crowded(settings, routing, lane, lean=lean)
    return {
        "via": lane.via,
        "models": dict(lane.models),
        "environment": environment,
        "goes_to": base_url,
        "key_file": _key_file(settings, lane, claude),
        "key_variable": _key_variable(lane),
        "billed": billed(settings, routing, lane),
        "private": lane.private,
        "effort": lane.effort,
        "permission_mode": lane.permission_mode,
        "prompt": "lean" if lean else "full",
        "settings": claude_settings(
            settings,
            lane,
            lean=lean,
            program=PROGRAM,
            choices=_choices(routing, lane),
            crowded=without_room,
        ),
        "crowded": without_room,
        "context": context,
        "servers": _servers(routing, lane),
        "main_servers": _main_servers(routing, lane),
        "instead": instead(routing, lane),
        "asks": lane.fallbacks == "ask",
        "readings": _readings(routing, lane, lean=lean),
        "sight": _sight(routing, lane),
        "slots": _slots(routing, lane),
    }


def _of_clouds(routing: Routing, lane: Lane) -> bool:
    """Return whether a cloud answers one of the lane's models, its own fallbacks aside."""
    if lane.via == "first-party":
        return True
    return any(
        isinstance(record, Cloud) for name in lane.models.values() for record, _ in routing.answering(lane, name)
    )


def _of_models(routing: Routing, lane: Lane) -> dict[str, str]:
    """Return what Claude Code is told of the lane's models."""
    several = routing.answering(lane, lane.models["main"])
    record, main = several[0]
    asked: dict[str, str] = {slot: _asked_for(routing, lane, name) for slot, name in lane.models.items()}
    return {
        **claude_environment.of_models(asked, f"{main.id} ({record.name})"),
        **_of_models_to_choose(routing, lane),
        **(claude_environment.OF_A_SERVER if lane.via == "direct" else _without_late_system(routing, lane)),
        **_of_an_unknown_main_model(several),
    }


def _servers(routing: Routing, lane: Lane) -> dict[str, str]:
    """Return the servers on the person's own network that answer in the lane, with what to ask each, free of charge."""
    names = () if lane.via == "first-party" else lane.models.values()
    records = [record for name in names for record, _ in routing.answering(lane, name)]
    return {
        record.name: kind_of(record).probe(record).url
        for record in records
        if isinstance(record, Backend) and record.own
    }


def _main_servers(routing: Routing, lane: Lane) -> dict[str, str]:
    """Return who has the main model of a lane through the gateway, clouds too, with what to ask each."""
    boxes_of_main = routing.answering(lane, lane.models["main"]) if lane.via == "gateway" else []
    return {record.name: kind_of(record).probe(record).url for record, _ in boxes_of_main}


def _readings(routing: Routing, lane: Lane, *, lean: bool) -> list[dict[str, Any]]:
    """Return what to ask the servers of the main model about its context; the launcher never sees a token's name.

    Only the gateway's requests bring a context along: in a direct lane it is the loaded one that counts. Of a server
    that does not tell there is no url.
    """
    if lane.via == "first-party":
        return []
    found: list[dict[str, Any]] = []
    for served in routing.answering(lane, lane.models["main"]):
        readings = list(of_deployments([served]))
        found += [
            {key: value for key, value in reading.items() if key != "secret"}
            | {"id": served.id, "keyed": reading["secret"] is not None}
            | ({} if lane.via == "gateway" else {"on_demand": False})
            | ({"opening": LEAN_OPENING} if lean else {})
            for reading in readings
        ]
        if not readings and isinstance(served.model, BackendModel):
            found.append({"id": served.id, "url": None, "context_length": served.model.context_length})
    return found


def _sight(routing: Routing, lane: Lane) -> dict[str, Any] | None:
    """Return what to ask of the server of the main model about images and tools; None: nothing.

    Of images the gateway asks by itself. Of a model that several have, each may say another thing.
    """
    if lane.via == "first-party":
        return None
    (record, model), *others = routing.answering(lane, lane.models["main"])
    if others or not isinstance(record, Backend) or not isinstance(model, BackendModel):
        return None
    sight = sight_of(record, model)
    if sight is None or (lane.via == "gateway" and not sight["tools"]):
        return None
    return {key: value for key, value in sight.items() if key != "secret"}


def _slots(routing: Routing, lane: Lane) -> list[str]:
    """Return where servers of the main model tell how far they have read a prompt, those that want no key for it.

    A direct lane has the server's key, if there is one.
    """
    if lane.via == "first-party":
        return []
    found = [
        backend_kind(record).slots(record, model)
        for record, model in routing.answering(lane, lane.models["main"])
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


def _base_url(settings: Settings, routing: Routing, lane: Lane) -> str:
    if lane.via == "gateway":
        return _gateway_url(settings)
    ((record, _),) = routing.answering(lane, lane.models["main"])
    return str(kind_of(record).native_anthropic(record))


def _asked_for(routing: Routing, lane: Lane, name: str) -> str:
    # The gateway knows names; a server itself knows its own ids.
    return name if lane.via == "gateway" else str(routing.answering(lane, name)[0][1].id)


def _choices(routing: Routing, lane: Lane) -> Choices:
    """Return what /model offers: each model once, the lane's own first; nothing where Anthropic's own list is right."""
    if lane.via == "first-party":
        return []
    others = routing.groups if lane.via == "gateway" else {}
    own = {name: several for name in lane.models.values() if (several := routing.answering(lane, name))}
    found: dict[str, tuple[Deployment, ...]] = {}
    for name, several in {**own, **others}.items():
        # An alias is no further model.
        found.setdefault(several[0][1].name if lane.via == "gateway" else _asked_for(routing, lane, name), several)
    return list(found.items())


def _crowded(settings: Settings, routing: Routing, lane: Lane, *, lean: bool) -> dict[str, dict[str, Any]]:
    """Return the models that /model may be asked for and that have no room for this lane's prompt.

    Each by its names, with its window and a lane of its own.
    """
    if lane.via != "gateway":
        return {}
    main = lane.models.get("main", "")
    return {
        name: {"window": window(routing.serving(name)), "lane": _lane_of(settings, routing, own)}
        for name, own in routing.own.items()
        if own != routing.own.get(main, main) and not has_room(routing.serving(name), lean=lean)
    }


def _lane_of(settings: Settings, routing: Routing, own: str) -> str | None:
    """Return a lane whose main model this is; None: it is no lane's."""
    lanes = ((name, lane.models.get("main", "")) for name, lane in settings.lanes.items() if lane.enabled)
    return next((name for name, main in lanes if routing.own.get(main) == own), None)


def _of_models_to_choose(routing: Routing, lane: Lane) -> dict[str, str]:
    """Return the window of what /model may choose from the gateway's list and Claude Code does not know.

    It would assume 1M tokens, and never compact. Claude's own names keep their own windows.
    """
    least = window(routing.deployments) if lane.via == "gateway" else None
    return {"CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(least)} if least else {}


def _without_late_system(routing: Routing, lane: Lane) -> dict[str, str]:
    """Return what keeps Claude Code from sending late system messages to the lane's models that are not Claude's."""
    names = [name for name in dict.fromkeys(lane.models.values()) if window(routing.answering(lane, name)) is not None]
    said = ";".join(f"{name}=-mid_conv_system" for name in names)
    return {"CLAUDE_CODE_MODEL_CAPABILITIES": said} if said else {}


def _of_an_unknown_main_model(several: tuple[Deployment, ...]) -> dict[str, str]:
    """Return what Claude Code must be told of a model that it does not know; nothing of a Claude."""
    least = window(several)
    if least is None:
        return {}
    outputs = [model.max_output_tokens for _, model in several if isinstance(model, BackendModel | CloudModel)]
    return claude_environment.of_a_window(least, min(each for each in outputs if each is not None))


def _key_file(settings: Settings, lane: Lane, claude: Account) -> str | None:
    return None if lane.credential == "none" else lane_secret(settings.secrets, claude, lane.credential)


def _key_variable(lane: Lane) -> str | None:
    """Return the variable that Claude Code takes the lane's key from; None for a lane with a login of its own."""
    if lane.via != "first-party":
        return "ANTHROPIC_AUTH_TOKEN"
    return None if lane.credential == "none" else "ANTHROPIC_API_KEY"

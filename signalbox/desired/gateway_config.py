"""From settings to LiteLLM's configuration. Pure: no file, no network, no secret's value."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from signalbox.backends import CLOUDS, kind_of, reading_of, sight_of
from signalbox.backends.kind import REFERENCE
from signalbox.backends.records import Backend, BackendModel, Cloud, CloudModel
from signalbox.desired.routing import Deployment, Routing
from signalbox.desired.secret_names import gateway_secrets
from signalbox.settings import Settings
from signalbox.settings.sections.budgets import Limit

Config = dict[str, Any]

_PLUGINS = "signalbox.gateway.plugins"  # within the container, where `start` puts them
_CALLBACKS = tuple(f"{_PLUGINS}.{name}" for name in ("failover", "audited", "refused"))
_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"  # the host's own; the unit mounts it at the same path


@dataclass(frozen=True)
class Container:
    """What the gateway's container is made of.

    image: repository@digest. config: LiteLLM's. environment: variables, nothing secret.
    host_loopback: whether host.docker.internal leads to services on the host's own loopback.
    """

    image: str
    config: Config
    environment: dict[str, str]
    host_loopback: bool


def container(settings: Settings, routing: Routing) -> Container:
    """Return the gateway's container."""
    return Container(
        image=f"{settings.mirrors.litellm}@{settings.pins.litellm.digest}",
        config=litellm_config(settings, routing),
        environment=container_environment(settings, routing),
        host_loopback=settings.rootless_docker.host_loopback,
    )


def litellm_config(settings: Settings, routing: Routing) -> Config:
    """Return LiteLLM's config.yaml as a dict (https://docs.litellm.ai/docs/proxy/config_settings).

    A provider's key is always a reference, see `required_secrets`.
    """
    models = [
        _deployment(settings, routing, each, in_order=len({other.order for other in several}) > 1)
        for several in routing.groups.values()
        for each in several
    ]
    search = _search(settings, models)
    return {
        "model_list": models,
        **search.get("tools", {}),
        "router_settings": _router(settings, routing),
        "litellm_settings": {
            "drop_params": True,  # Claude Code sends parameters that not every backend knows
            "modify_params": True,  # repairs what Foundry refuses, such as a late system message
            "request_timeout": settings.gateway.request_timeout_seconds,
            **({"enable_post_custom_auth_checks": True} if settings.gateway.clients else {}),
            "callbacks": [*_CALLBACKS, *search.get("callbacks", ())],
            **search.get("settings", {}),
        },
        "general_settings": {"master_key": f"{REFERENCE}LITELLM_MASTER_KEY", **_auth(settings)},
    }


def _search(settings: Settings, models: list[Config]) -> Config:
    """Return what makes LiteLLM answer WebSearch in place of models that cannot; nothing where nobody is named.

    https://docs.litellm.ai/docs/integrations/websearch_interception
    """
    wanted = settings.gateway.web_search
    if wanted is None:
        return {}
    cannot = [each["litellm_params"]["model"] for each in models if "searches" in each["model_info"]]
    tool = {"search_provider": wanted.kind, "api_base": _from_container(wanted.url)}
    return {
        "tools": {"search_tools": [{"search_tool_name": wanted.kind, "litellm_params": tool}]},
        "callbacks": ["websearch_interception"],  # behind ours, which make the question fit for a search
        "settings": {
            "websearch_interception_params": {
                "enabled_providers": sorted({model.partition("/")[0] for model in cannot}),
                "search_tool_name": wanted.kind,
            }
        },
    }


def _auth(settings: Settings) -> Config:
    """Return what makes LiteLLM know the keys of clients, and check their models; nothing where there are none."""
    if not settings.gateway.clients:
        return {}
    return {"custom_auth": f"{_PLUGINS}.authenticate", "custom_auth_run_common_checks": True}


def container_environment(settings: Settings, routing: Routing) -> dict[str, str]:
    """Return the container's environment. `docker inspect` shows it, so nothing in it is secret."""
    environment = {
        "HOME": "/tmp",  # noqa: S108 (all that a read-only container may write to)
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # or it fetches a price list at every start
        "PYTHONPATH": "/tmp",  # noqa: S108 (where `start` puts the plug-in)
        **_limits(settings),
        "SIGNALBOX_AUDIT_COMPARED_WITH": settings.gateway.audit.compared_with or "",
        "SIGNALBOX_AUDIT_FILES": str(settings.gateway.audit.old_files),
        "SIGNALBOX_AUDIT_MIB": str(settings.gateway.audit.max_mib),
        **_budgets(settings),
        **_clients(settings, routing),
        "SIGNALBOX_COOLDOWN_SECONDS": str(settings.gateway.cooldown_seconds),
        "SIGNALBOX_LANE_FALLBACKS": " ".join(
            f"{name}={lane.fallbacks}" for name, lane in settings.lanes.items() if lane.fallbacks != "all"
        ),
        "SIGNALBOX_LOCAL": " ".join(
            name for name, backend in settings.backends.items() if backend.enabled and backend.own
        ),
        "SIGNALBOX_PROBE_SECONDS": str(settings.gateway.health_check_interval_seconds),
        **_rules(routing),
        "SIGNALBOX_REQUIRED": " ".join(gateway_secrets(settings, routing)),
        "XDG_CACHE_HOME": "/tmp/cache",  # noqa: S108
    }
    if settings.extra_ca_certificates:
        environment["SSL_CERT_FILE"] = _CA_BUNDLE
    return environment


def _rules(routing: Routing) -> dict[str, str]:
    """Return who answers by the kind of request, for signalbox/host/gateway/rules.py; nothing where no rule says so."""
    told = {"rules": routing.rules, "free": routing.free()}
    return {"SIGNALBOX_RULES": json.dumps(told)} if routing.rules else {}


def _budgets(settings: Settings) -> dict[str, str]:
    """Return what may be spent, for signalbox/host/gateway/budget.py; nothing where there is no budget."""
    wanted = settings.budgets
    limits: list[tuple[str, str, Limit]] = [
        *([("all", "", wanted.all)] if wanted.all else []),
        *(("lane", name, limit) for name, limit in wanted.lanes.items()),
        *(("cloud", name, limit) for name, limit in wanted.clouds.items()),
    ]
    told = [{"of": of, "name": name, **limit.model_dump()} for of, name, limit in limits]
    return {"SIGNALBOX_BUDGETS": json.dumps(told)} if told else {}


def _limits(settings: Settings) -> dict[str, str]:
    """Return how much of an answer is read, for signalbox/host/gateway/answer_limits.py."""
    limits = settings.gateway.limits
    return {
        "SIGNALBOX_ANSWER_MIB": str(limits.answer_mib),
        "SIGNALBOX_REQUEST_SECONDS": str(settings.gateway.request_timeout_seconds),
        "SIGNALBOX_STREAM_EVENTS": str(limits.stream_events),
        "SIGNALBOX_STREAM_MIB": str(limits.stream_mib),
        "SIGNALBOX_STREAM_SECONDS": str(limits.stream_seconds),
    }


def _clients(settings: Settings, routing: Routing) -> dict[str, str]:
    """Return who else may use the gateway, for signalbox/host/gateway/auth.py; nothing where nobody may."""
    clients = {
        name: {
            **client.model_dump(),
            "models": list(dict.fromkeys(each for m in client.models for each in (routing.own[m], m))),
        }
        for name, client in settings.gateway.clients.items()
    }
    return {"SIGNALBOX_CLIENTS": json.dumps(clients)} if clients else {}


def _deployment(settings: Settings, routing: Routing, served: Deployment, *, in_order: bool) -> Config:
    record, model = served
    kind = kind_of(record)
    params = kind.litellm_params(record, model) | model.litellm_params
    urls = [name for name, value in params.items() if isinstance(value, str) and re.match(r"https?://", value)]
    params |= {name: _from_container(params[name]) for name in urls}
    if in_order:
        params["order"] = served.order  # the next one is asked when this one fails or is not there
    # The id comes back in each answer's headers: signalbox/host/gateway/request_record.py reads who answered from it.
    deployment: Config = {
        "model_name": model.name,
        "litellm_params": params,
        "model_info": {"id": served.id},
    }
    if model.price:
        deployment["model_info"]["price"] = model.price if model.price == "plan" else model.price.model_dump()
    for known, wanted in (("fallbacks", routing.fallbacks), ("on_quota", routing.quota_fallbacks)):
        if following := wanted.get(model.name):
            deployment["model_info"][known] = list(following)
    if isinstance(record, Cloud) and isinstance(model, CloudModel):
        deployment["model_info"] |= _of_a_cloud(record, model)
    if settings.gateway.web_search and not deployment["model_info"].get("claude"):
        deployment["model_info"]["searches"] = settings.gateway.web_search.kind
    if isinstance(record, Backend) and isinstance(model, BackendModel):
        deployment["model_info"] |= {
            "max_input_tokens": model.context_length - model.max_output_tokens,
            "max_output_tokens": model.max_output_tokens,
        }
    if isinstance(record, Backend) and isinstance(model, BackendModel) and record.own:
        # for signalbox/host/gateway/failover.py, which asks every few seconds
        deployment["model_info"]["probe_url"] = _from_container(kind.probe(record).url)
        if reading := reading_of(record, model):
            deployment["model_info"]["reading"] = {**reading, "url": _from_container(reading["url"])}
        if sight := sight_of(record, model):
            deployment["model_info"]["sight"] = {**sight, "url": _from_container(sight["url"])}
    return deployment


def _of_a_cloud(record: Cloud, model: CloudModel) -> Config:
    """Return what signalbox/host/gateway/request_rewriting.py needs to know of a cloud's model."""
    kind = CLOUDS[str(record.kind)]
    refuses = kind.refuses(record, model)
    return {
        **({"claude": True} if kind.serves_claude else {}),
        **({"refuses": refuses} if refuses else {}),
        **({"max_output_tokens": model.max_output_tokens} if model.max_output_tokens else {}),
    }


def _from_container(url: str) -> str:
    """Return `url` as the container reaches it: the host's own loopback has another name in there."""
    parts = urlsplit(url)
    if parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
        return url
    port = f":{parts.port}" if parts.port else ""
    return parts._replace(netloc=f"host.docker.internal{port}").geturl()


def _router(settings: Settings, routing: Routing) -> Config:
    gateway = settings.gateway
    return {
        **_sharing(routing),
        "num_retries": gateway.retries,
        "timeout": gateway.request_timeout_seconds,
        "stream_timeout": gateway.stream_timeout_seconds,
        "disable_cooldowns": True,  # signalbox/host/gateway/failover.py knows better
        "model_group_alias": {alias: model.name for _, model in routing.deployments for alias in model.aliases},
        "fallbacks": _fallbacks(routing),
        # For the overflows that LiteLLM recognises; LM Studio's "n_keep >= n_ctx" takes the other list.
        "context_window_fallbacks": _fallbacks(routing),
        # No default_fallbacks: a model without an entry never leaves its server.
    }


def _sharing(routing: Routing) -> Config:
    """Return what the router needs where boxes share a model's sessions; nothing where none do."""
    orders = [[each.order for each in several] for several in routing.groups.values()]
    if all(len(set(each)) == len(each) for each in orders):
        return {}
    return {
        "enable_weighted_failover": True,  # a box that fails is followed by one beside it, before any fallback
        "optional_pre_call_checks": ["session_affinity"],  # a session stays where its prompt cache is
    }


def _fallbacks(routing: Routing) -> list[dict[str, list[str]]]:
    # LiteLLM looks a fallback up by the name as asked for: an alias needs an entry of its own.
    lists = {name: routing.following(own) for name, own in routing.own.items()}
    return [{name: following} for name, following in lists.items() if following]

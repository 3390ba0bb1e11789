"""Rules of the gateway: it can be started, reaches what it needs, and names models that exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from signalbox.backends.records import Backend
from signalbox.fields.checks import PLACEHOLDER
from signalbox.fields.messages import nearest, show
from signalbox.fields.urls import address_of
from signalbox.settings.layers import Path
from signalbox.settings.models import known_models
from signalbox.settings.problems import Problem
from signalbox.settings.rules.rule import Raw, Rule
from signalbox.settings.sections import Sections


def gateway(settings: Sections, raw: Raw) -> Iterator[Problem]:
    """The gateway can be started, and reaches what it needs."""
    gateway = settings.gateway
    if not gateway.enabled:
        return
    if gateway.stream_timeout_seconds > gateway.request_timeout_seconds:
        yield Problem(
            ("gateway", "stream_timeout_seconds"),
            f"{gateway.stream_timeout_seconds} is longer than request_timeout_seconds "
            f"{gateway.request_timeout_seconds}, which ends it first; write less",
        )
    if gateway.port == raw.get("ssh_port"):
        yield Problem(("gateway", "port"), f"{gateway.port} is ssh_port too; write another")
    search = gateway.web_search
    asked: list[tuple[Path, str | None]] = [
        (("backends", name, "url"), backend.url) for name, backend in settings.backends.items() if backend.enabled
    ]
    for at, url in (*asked, (("gateway", "web_search", "url"), search.url if search else None)):
        if url and not PLACEHOLDER.search(url) and (said := _out_of_reach(settings, url)):
            yield Problem(at, said)
    if search and search.url.endswith("/search"):
        clean = search.url.removesuffix("/search")
        yield Problem(("gateway", "web_search", "url"), f"the gateway adds /search itself; write {show(clean)}")


def _out_of_reach(settings: Sections, url: str) -> str | None:
    """Say why the gateway's container cannot reach a server; None: it can."""
    address = address_of(url)
    if address not in _LOOPBACK:
        if ":" in address:
            return (
                f"{show(url)} is an IPv6 address, which the gateway's container cannot reach; write the server's IPv4 "
                "address, or a name that has one"
            )
        return None
    if url.endswith(f":{settings.gateway.port}"):
        return f"{show(url)} is the gateway itself (gateway.port); write the server's port"
    if settings.rootless_docker.enabled and not settings.rootless_docker.host_loopback:
        return (
            f"{show(url)} is the host's own loopback, which the gateway's container cannot reach; write "
            "rootless_docker.host_loopback = True, or an address in your network"
        )
    return None


_LOOPBACK = {"localhost", "127.0.0.1", "::1", "host.docker.internal"}


def fallbacks(settings: Sections, raw: Raw) -> Iterator[Problem]:
    """Fallbacks go from a model that exists to others that exist."""
    if not settings.gateway.enabled:
        return
    known = {name: path[3] for name, path in known_models(settings, raw)}  # the models' own names by all their names
    gateway = settings.gateway
    lists = {"fallbacks": gateway.fallbacks, "quota_fallbacks": gateway.quota_fallbacks}
    for key, entries in lists.items():
        owner: dict[str, str] = {}
        for model in entries:
            own = str(known.get(model, model))
            if own in owner:
                said = f"{show(model)} is {show(owner[own])} by another name, which has a list already; write one"
                yield Problem(("gateway", key, model), said)
            owner.setdefault(own, model)
    for key, model, targets in ((key, *entry) for key, entries in lists.items() for entry in entries.items()):
        at: Path = ("gateway", key, model)
        own_names = [known.get(target, target) for target in targets]
        if targets and model not in known:
            yield Problem(at, undefined(model, known))
        for index, target in enumerate(targets):
            if own_names[index] == known.get(model, model):
                yield Problem((*at, index), f"{show(model)} falls back to itself; take it out")
            elif own_names[index] in own_names[:index]:
                yield Problem((*at, index), f"{show(target)} is there twice; take one out")
            elif target not in known:
                yield Problem((*at, index), undefined(target, known))


def clients(settings: Sections, raw: Raw) -> Iterator[Problem]:
    """A client's key is its own, and its models exist."""
    known = [name for name, _ in known_models(settings, raw)]
    owner: dict[str, str] = {}
    for section in ("backends", "clouds"):
        for record in getattr(settings, section).values():
            key = record.token if isinstance(record, Backend) else record.secret
            owner |= {key: f"{section}.{record.name}"} if key else {}
    for name, client in settings.gateway.clients.items():
        at: Path = ("gateway", "clients", name)
        if client.secret in owner:
            yield Problem((*at, "secret"), f"{client.secret} is the key of {owner[client.secret]}; name one of its own")
        owner.setdefault(client.secret, f"gateway.clients.{name}")
        for index, model in enumerate(client.models):
            if model not in known:
                yield Problem((*at, "models", index), undefined(model, known))


def undefined(model: str, known: Iterable[str]) -> str:
    """What to say of a model that no enabled backend or cloud has."""
    names = list(dict.fromkeys(known))
    hint = nearest(model, names) or (f"; write one of {', '.join(names)}" if names else "; define one")
    return f"no enabled backend or cloud has a model {show(model)}{hint}"


RULES: list[Rule] = [gateway, fallbacks, clients]

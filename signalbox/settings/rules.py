"""Rules between settings, each a function from what is valid so far to its problems.

`settings` may lack sections: reading one that has problems of its own raises IncompleteError, and the rule
is not applied. `raw` is the merged data with records filled: the names of records that are not valid
are there too, so that one mistake is told once.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from signalbox import backends
from signalbox.settings import budgets, lane_rules, protection_rules, section_rules, text_rules
from signalbox.settings.fields import PLACEHOLDER, address_of
from signalbox.settings.layers import Path, defaults
from signalbox.settings.names import CLAUDE, known_models, model_names, taken_for_claude
from signalbox.settings.problems import Problem, show
from signalbox.settings.records import Backend
from signalbox.settings.sections import ARCHITECTURES

if TYPE_CHECKING:
    from signalbox.settings.settings import Settings

Raw = Mapping[str, Any]
Rule = Callable[["Settings", Raw], Iterator[Problem]]


class IncompleteError(Exception):
    """A rule read a section that is not valid."""


def connection(settings: Settings, raw: Raw) -> Iterator[Problem]:
    """Root at the other end, and nobody in between."""
    user, sudo = raw.get("ssh_user"), settings.connection.sudo
    if user not in (None, "root") and not sudo:
        yield Problem(("connection", "sudo"), f"ssh_user {show(user)} is not root; write True")
    if settings.connection.sudo_password and not sudo:
        yield Problem(
            ("connection", "sudo_password"), "is not used while connection.sudo is False; write True there or None here"
        )
    checking = raw.get("ssh_strict_host_key_checking")
    if checking in ("no", "off", False):
        yield Problem(
            ("ssh_strict_host_key_checking",),
            f'{show(checking)} lets any machine pose as this host; write "yes" and the key in connection.host_key',
        )


def doctor(settings: Settings, _: Raw) -> Iterator[Problem]:
    """Mail needs a server."""
    if settings.doctor.mail_to and not settings.doctor.mail_server:
        yield Problem(("doctor", "mail_server"), 'mail_to needs one; write its host, such as "mail.example.org"')


def service_user(settings: Settings, _: Raw) -> Iterator[Problem]:
    """sudo with a password needs one."""
    user = settings.service_user
    if user.enabled and user.sudo == "password" and user.password is None:
        yield Problem(
            ("service_user", "password"),
            'sudo = "password" needs one; write the name of the secret that holds it, such as CLAUDE_PASSWORD',
        )


def pins(settings: Settings, _: Raw) -> Iterator[Problem]:
    """What is installed is pinned, for at least one architecture."""
    pins, run = settings.pins, "run `signalbox pin`"
    if settings.toolchain.enabled:
        for name, pin in (("mise", pins.mise), ("node", pins.node)):
            if not any(getattr(pin.sha256, each) for each in ARCHITECTURES):
                yield Problem(("pins", name, "sha256"), f"no checksum of {name} {pin.version} is known; {run}")
        known = pins.claude_code.integrity
        if not known.package or not any(getattr(known, each) for each in ARCHITECTURES):
            version = pins.claude_code.version
            yield Problem(("pins", "claude_code", "integrity"), f"no checksum of Claude Code {version} is known; {run}")
    if settings.gateway.enabled and pins.litellm.digest is None:
        version = pins.litellm.version
        yield Problem(("pins", "litellm", "digest"), f"the digest of LiteLLM {version} is not known; {run}")


def mirrors(settings: Settings, _: Raw) -> Iterator[Problem]:
    """Security updates come from somewhere, as far as they are wanted."""
    mirrors, base = settings.mirrors, settings.base
    at: Path = ("mirrors", "debian_security")
    if not mirrors.debian and mirrors.debian_security not in (None, defaults()["mirrors"]["debian_security"]):
        yield Problem(at, "is not used while mirrors.debian is None, which keeps the host's own sources; name both")
    if base.enabled and base.unattended_upgrades and mirrors.debian and not mirrors.debian_security:
        yield Problem(
            at,
            "None leaves unattended upgrades without security updates; name a mirror of Debian's security archive, "
            "or write base.unattended_upgrades = False",
        )


def records_complete(settings: Settings, _: Raw) -> Iterator[Problem]:
    """What an enabled backend or cloud needs is there."""
    for section, records in (("backends", settings.backends), ("clouds", settings.clouds)):
        for name, record in records.items():
            if not record.enabled:
                continue
            at: Path = (section, name)
            if record.kind is None:
                yield Problem((*at, "kind"), "missing; write what it is, such as " + _KIND_OF[section])
            else:
                yield from (Problem((*at, key), said) for key, said in backends.kind_of(record).problems(record))
            for model in record.models.values():
                if model.id is None:
                    yield Problem((*at, "models", model.name, "id"), "missing; write what the server calls the model")
            if not record.models:
                yield Problem((*at, "models"), "no model is served; name one, or write enabled = False")
    for name, cloud in settings.clouds.items():
        if not cloud.enabled:
            continue
        if cloud.secret is None:
            yield Problem(
                ("clouds", name, "secret"), "missing; write the name of the secret, such as ANTHROPIC_DIRECT_KEY"
            )
        if (
            cloud.url
            and cloud.url.startswith("http://")
            and not PLACEHOLDER.search(cloud.url)
            and not _is_private(address_of(cloud.url))
        ):
            yield Problem(("clouds", name, "url"), f"{show(cloud.url)} would send the key in clear; write https://…")


_KIND_OF = {"backends": '"lm_studio"', "clouds": '"anthropic"'}


def _is_private(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost"


def backend_urls(settings: Settings, _: Raw) -> Iterator[Problem]:
    """One server is one backend: two records of one URL would be probed and cooled down apart."""
    owner: dict[str, Backend] = {}
    for name, backend in settings.backends.items():
        if not backend.enabled or not backend.url or PLACEHOLDER.search(backend.url):
            continue
        if backend.url in owner:
            yield Problem(
                ("backends", name, "url"),
                f"{show(backend.url)} is the backend {owner[backend.url].name} too; put its models there",
            )
        owner.setdefault(backend.url, backend)


def names(_: Settings, raw: Raw) -> Iterator[Problem]:
    """A name means one model, which several backends may have; a local one is not taken for a cloud's."""
    for section in ("backends", "clouds"):
        for name in raw[section]:
            if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
                yield Problem((section, name), f"{show(name)} is no record's name; write a-z, 0-9, _ and -")
    owner: dict[str, Path] = {}
    for name, path in model_names(raw):
        if path[0] == "backends" and taken_for_claude(name):
            yield Problem(
                path,
                f"{show(name)} is a name that Claude Code takes for a cloud model with its window; "
                'name a local model otherwise, such as "local"',
            )
        if name in owner and not _another_box(path, owner[name], name):
            first = ".".join(map(str, owner[name]))
            yield Problem(path, f"{show(name)} is already the name of {first}; give one of them another name")
        owner.setdefault(name, path[:4])


def _another_box(path: Path, first: Path, name: str) -> bool:
    """Whether the name at `path` is that of the model at `first`, on another backend: one model on several boxes."""
    model = path[3]
    own_alias = len(path) > 4 and name == model
    return path[0] == first[0] == "backends" and path[1] != first[1] and model == first[3] and not own_alias


def claude_names(settings: Settings, _: Raw) -> Iterator[Problem]:
    """Claude Code tells a model's window and abilities by its name: a Claude has such a name, and nothing else has."""
    for record, cloud in settings.clouds.items():
        if not cloud.enabled or cloud.kind is None:
            continue
        serves_claude = backends.CLOUDS[cloud.kind].SERVES_CLAUDE
        for name, model in cloud.models.items():
            at: Path = ("clouds", record, "models", name)
            lengths = {"context_length": model.context_length, "max_output_tokens": model.max_output_tokens}
            if serves_claude and not CLAUDE.search(name):
                yield Problem(
                    at,
                    f"{show(name)} is no name that Claude Code knows, so it would assume a window of 1M tokens; write "
                    'one with the model in it, such as "claude-sonnet-4-6" or "foundry-claude-sonnet-4-6", and put '
                    "this one among its aliases",
                )
            if not serves_claude and "claude" in name.lower():
                yield Problem(at, f"{show(name)} is a name that Claude Code takes for a Claude; write the model's own")
            for key, value in lengths.items():
                if serves_claude and value is not None:
                    yield Problem((*at, key), "Claude Code knows it by the model's name; write None")
                elif not serves_claude and value is None:
                    yield Problem((*at, key), "missing; Claude Code does not know this model, so write it in tokens")


def gateway(settings: Settings, raw: Raw) -> Iterator[Problem]:
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


def _out_of_reach(settings: Settings, url: str) -> str | None:
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


def fallbacks(settings: Settings, raw: Raw) -> Iterator[Problem]:
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
            yield Problem(at, lane_rules.undefined(model, known))
        for index, target in enumerate(targets):
            if own_names[index] == known.get(model, model):
                yield Problem((*at, index), f"{show(model)} falls back to itself; take it out")
            elif own_names[index] in own_names[:index]:
                yield Problem((*at, index), f"{show(target)} is there twice; take one out")
            elif target not in known:
                yield Problem((*at, index), lane_rules.undefined(target, known))


def clients(settings: Settings, raw: Raw) -> Iterator[Problem]:
    """A client's key is its own, and its models exist."""
    known = [name for name, _ in known_models(settings, raw)]
    owner: dict[str, str] = {}
    for section in ("backends", "clouds"):
        for record in getattr(settings, section).values():
            owner |= {name: f"{section}.{record.name}" for name in (getattr(record, "token", None),) if name}
            owner |= {name: f"{section}.{record.name}" for name in (getattr(record, "secret", None),) if name}
    for name, client in settings.gateway.clients.items():
        at: Path = ("gateway", "clients", name)
        if client.secret in owner:
            yield Problem((*at, "secret"), f"{client.secret} is the key of {owner[client.secret]}; name one of its own")
        owner.setdefault(client.secret, f"gateway.clients.{name}")
        for index, model in enumerate(client.models):
            if model not in known:
                yield Problem((*at, "models", index), lane_rules.undefined(model, known))


RULES: list[Rule] = [
    *text_rules.RULES,
    connection,
    doctor,
    service_user,
    pins,
    mirrors,
    records_complete,
    names,
    claude_names,
    backend_urls,
    gateway,
    fallbacks,
    clients,
    *lane_rules.RULES,
    *budgets.RULES,
    *protection_rules.RULES,
    *section_rules.RULES,
]

"""From what a person wants to settings: pure. Only what differs from group_data/all.py is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from signalbox.backends import BACKENDS
from signalbox.host.shared.claude_environment import SLOTS
from signalbox.init.clouds import CLAUDES, FIRST, KINDS, SHIPPED, accounts, is_usual, prefix_of
from signalbox.init.managed_keys import SHIPPED_BACKEND, backend_name
from signalbox.settings.layers import defaults, merge
from signalbox.settings.record_defaults import RECORDS

Data = dict[str, Any]
_ROOMY = 65536  # tokens of context from which there is room for longer answers


@dataclass(frozen=True)
class Local:
    """A model on one's own network. context: as loaded, in tokens. token: whether the server asks for a key."""

    kind: str
    url: str
    model: str
    context: int
    token: bool = False

    @property
    def name(self) -> str:
        """Its record's name."""
        return backend_name(self.kind)

    @property
    def secret(self) -> str:
        """The name of the secret with its token."""
        return f"{self.name.upper()}_TOKEN"


@dataclass(frozen=True)
class Wishes:
    """What a host and its group shall be.

    address, port, user, key: how it is reached; host_key: its own key, "" where known_hosts decides. sudo: "root",
    "free" or "password". logins: public keys of those who may log in as the service user. cloud: of clouds.CHOICES;
    details: what was answered of each account, as its kind asks; urls: of those that are not at their usual address.
    network: sections `mirrors` and `extra_ca_certificates`. vault_key: as the setting `secrets.key`. name: the service
    user's. group: of the host in inventory.py. fallbacks: of the gateway, None: those that suit the models. shared,
    beside: what nobody asks about, for the group and for this host alone.
    """

    address: str
    port: int = 22
    user: str = "root"
    key: str = ""
    host_key: str = ""
    sudo: str = "root"
    logins: tuple[str, ...] = ()
    local: Local | None = None
    cloud: str = FIRST
    details: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)
    vault_key: str = "prompt"
    name: str = "claude"
    group: str = "claude_hosts"
    fallbacks: Mapping[str, list[str]] | None = None
    shared: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)


def host_settings(wishes: Wishes) -> Data:
    """Return what is written beside the host in inventory.py."""
    data: Data = {}
    if wishes.port != 22:
        data["ssh_port"] = wishes.port
        data["firewall"] = {"ssh_ports": [wishes.port]}
    if wishes.user != "root":
        data["ssh_user"] = wishes.user
    if wishes.key:
        data["ssh_key"] = wishes.key
    connection: Data = {"host_key": wishes.host_key} if wishes.host_key else {}
    if wishes.sudo in ("free", "password"):
        connection["sudo"] = True
    if wishes.sudo == "password":
        connection["sudo_password"] = "ADMIN_SUDO"  # noqa: S105 (a secret's name)
    if connection:
        data["connection"] = connection
    if wishes.logins:
        data["service_user"] = {"authorized_keys": list(wishes.logins)}
    return merge(data, wishes.beside)


def group_settings(wishes: Wishes) -> Data:
    """Return what is written to group_data/<group>.py."""
    data: Data = dict(wishes.network)
    if wishes.name != defaults()["service_user"]["name"]:
        data["service_user"] = {"name": wishes.name}
    data["secrets"] = {"source": "vault", "key": wishes.vault_key}
    data["backends"] = _backends(wishes.local)
    clouds, lanes = _clouds(wishes), _lanes(wishes)
    if clouds:
        data["clouds"] = clouds
    if (fallbacks := _fallbacks(wishes)) is not None:
        data["gateway"] = {"fallbacks": fallbacks}
    if lanes:
        data["lanes"] = lanes
    return merge(data, wishes.shared)


def needed_secrets(wishes: Wishes) -> list[str]:
    """Return the names of the secrets that these settings need."""
    names = [str(SHIPPED[account]["secret"]) for account in accounts(wishes.cloud)]
    names += [wishes.local.secret] if wishes.local and wishes.local.token else []
    return names + (["ADMIN_SUDO"] if wishes.sudo == "password" else [])


def _backends(local: Local | None) -> Data:
    if local is None:
        return {SHIPPED_BACKEND: {"enabled": False}}
    model: Data = {"id": local.model, "context_length": local.context}
    if local.context >= _ROOMY:
        model["max_output_tokens"] = 8192
    record: Data = {"url": local.url, "models": {"local": model}}
    if local.token:
        record["token"] = local.secret
    if local.name == SHIPPED_BACKEND:
        return {SHIPPED_BACKEND: record}
    return {SHIPPED_BACKEND: {"enabled": False}, local.name: {"kind": local.kind, **record}}


def _clouds(wishes: Wishes) -> Data:
    chosen, clouds = accounts(wishes.cloud), dict[str, Data]()
    for name in SHIPPED:
        if name in chosen:
            record = {} if is_usual(name) else {"enabled": True}
            record |= _answered(wishes, name)
        else:
            record = {"enabled": False} if is_usual(name) else {}
        if name in wishes.urls:
            record |= KINDS[name].at(wishes.urls[name])
        if record:
            clouds[name] = record
    return clouds


def _answered(wishes: Wishes, account: str) -> Data:
    """Return what the answers make of an account's record."""
    prefix = prefix_of(account, len(accounts(wishes.cloud)) > 1)
    return KINDS[account].settings(wishes.details.get(account, {}), CLAUDES, prefix)


def _fallbacks(wishes: Wishes) -> Data | None:
    """Return gateway.fallbacks; None where the defaults are right."""
    if wishes.fallbacks is not None:
        return {name: list(targets) for name, targets in wishes.fallbacks.items()}
    first, *following = accounts(wishes.cloud) or (None,)
    alone = wishes.local is None or not _takes_over(first)
    if following:
        sonnet, opus, haiku = CLAUDES
        return {
            "local": [] if alone else [haiku, *(f"{name}-{haiku}" for name in following)],
            **{each: [f"{name}-{each}" for name in following] for each in (sonnet, opus)},
        }
    if alone:
        return {"local": []}
    return {"local": [model]} if first and (model := _only_model(wishes, first)) else None


def _only_model(wishes: Wishes, account: str) -> str | None:
    """Return the model that all of a lane's slots get from an account without Claudes; None: it has them."""
    return None if KINDS[account].serves_claude else next(iter(_answered(wishes, account)["models"]))


def _takes_over(account: str | None) -> bool:
    """Return whether a session goes on at an account when the local model fails; None: there is no account."""
    return account is not None and KINDS[account].takes_over


def _lanes(wishes: Wishes) -> Data:
    lanes: dict[str, Data] = {}
    first, *following = accounts(wishes.cloud) or (None,)
    local = wishes.local
    if local is None:
        lanes["local"] = lanes["local-private"] = {"enabled": False}
    else:
        if BACKENDS[local.kind].native_anthropic(_record(local)) is None:
            lanes["local-private"] = {"enabled": False}
        elif local.token:
            lanes["local-private"] = {"credential": local.secret}
    if first is None:
        lanes["routed"] = lanes["cloud"] = {"enabled": False}
        return lanes
    lanes |= {name: lane for name, lane in _cloud_lanes(wishes, first).items() if lane}
    for name in following:
        sonnet, opus, haiku = (f"{name}-{each}" for each in CLAUDES)
        models = {"main": sonnet, "opus": opus, "sonnet": sonnet, "fable": opus, "haiku": "local" if local else haiku}
        lanes[name] = {"models": models, "config_dir": f"~/.claude-{name}"}
    return lanes


def _cloud_lanes(wishes: Wishes, account: str) -> dict[str, Data]:
    """Return the lanes of the account that is asked first, as far as they differ from the shipped ones."""
    routed, cloud = dict[str, Any](), dict[str, Any]()
    if model := _only_model(wishes, account):
        cloud["models"] = dict.fromkeys(SLOTS, model)
        routed["models"] = cloud["models"] | {"haiku": "local" if wishes.local else model}
    elif wishes.local is None:
        routed["models"] = {"haiku": CLAUDES[-1]}
    return {"routed": routed, "cloud": cloud}


def _record(local: Local) -> Any:
    record, default, _ = RECORDS["backends"]
    return record.model_validate({**defaults()["defaults"][default], "name": local.name, "url": local.url})

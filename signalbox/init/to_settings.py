"""From what a person wants to settings: pure. Only what differs from group_data/all.py is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from signalbox.backends import BACKENDS
from signalbox.init.managed_keys import SHIPPED, backend_name
from signalbox.settings.filling import RECORDS
from signalbox.settings.layers import defaults, merge
from signalbox.settings.sections.lanes import SLOTS

Data = dict[str, Any]
PAYERS = {
    "anthropic": "the Claude API account of ANTHROPIC_DIRECT_KEY",
    "foundry": "the Azure subscription of FOUNDRY_API_KEY",
    "mistral": "the account of MISTRAL_API_KEY",
}
CLOUDS = ("anthropic", "foundry", "both", "mistral", "none")
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
    "free" or "password". logins: public keys of those who may log in as the service user. cloud: of CLOUDS.
    deployments: Foundry's, by Claude's names. network: sections `mirrors` and `extra_ca_certificates`. urls: of clouds
    that are not at their usual address. vault_key: as the setting `secrets.key`. name: the service user's. group: of
    the host in inventory.py. fallbacks: of the gateway, None: those that suit the models. shared, beside: what nobody
    asks about, for the group and for this host alone.
    """

    address: str
    port: int = 22
    user: str = "root"
    key: str = ""
    host_key: str = ""
    sudo: str = "root"
    logins: tuple[str, ...] = ()
    local: Local | None = None
    cloud: str = "anthropic"
    resource: str = ""
    deployments: Mapping[str, str] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)
    vault_key: str = "prompt"
    name: str = "claude"
    group: str = "claude_hosts"
    fallbacks: Mapping[str, list[str]] | None = None
    shared: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)


def accounts(cloud: str) -> tuple[str, ...]:
    """Return the records of `clouds` behind an answer."""
    return {"both": ("anthropic", "foundry"), "none": ()}.get(cloud, (cloud,))


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
    names = [str(defaults()["clouds"][account]["secret"]) for account in accounts(wishes.cloud)]
    names += [wishes.local.secret] if wishes.local and wishes.local.token else []
    return names + (["ADMIN_SUDO"] if wishes.sudo == "password" else [])


def _backends(local: Local | None) -> Data:
    if local is None:
        return {SHIPPED: {"enabled": False}}
    model: Data = {"id": local.model, "context_length": local.context}
    if local.context >= _ROOMY:
        model["max_output_tokens"] = 8192
    record: Data = {"url": local.url, "models": {"local": model}}
    if local.token:
        record["token"] = local.secret
    if local.name == SHIPPED:
        return {SHIPPED: record}
    return {SHIPPED: {"enabled": False}, local.name: {"kind": local.kind, **record}}


def _clouds(wishes: Wishes) -> Data:
    chosen, clouds = accounts(wishes.cloud), dict[str, Data]()
    if "anthropic" not in chosen:
        clouds["anthropic"] = {"enabled": False}
    if "foundry" in chosen:
        prefix = "foundry-" if wishes.cloud == "both" else ""
        models = {
            f"{prefix}{name}": {"id": deployment, "aliases": [f"foundry-{name.split('-')[1]}"]}
            for name, deployment in wishes.deployments.items()
        }
        clouds["foundry"] = {"enabled": True, "resource": wishes.resource, "models": models}
    if "mistral" in chosen:
        # https://docs.mistral.ai/getting-started/models: what mistral-medium-latest holds
        model = {"id": "mistral-medium-latest", "context_length": 131072, "max_output_tokens": 8192}
        clouds["mistral"] = {"enabled": True, "models": {"mistral-medium": model}}
    for account, url in wishes.urls.items():
        where: Data = {"resource": None} if account == "foundry" else {}
        clouds[account] = {**clouds.get(account, {}), **where, "url": url}
    return clouds


def _fallbacks(wishes: Wishes) -> Data | None:
    """Return gateway.fallbacks; None where the defaults are right."""
    if wishes.fallbacks is not None:
        return {name: list(targets) for name, targets in wishes.fallbacks.items()}
    # Mistral refuses the ids of another model's tool calls: a session cannot move to it.
    alone = wishes.local is None or wishes.cloud in ("none", "mistral")
    if wishes.cloud == "both":
        return {
            "local": [] if alone else ["claude-haiku-4-5", "foundry-claude-haiku-4-5"],
            "claude-sonnet-4-6": ["foundry-claude-sonnet-4-6"],
            "claude-opus-4-8": ["foundry-claude-opus-4-8"],
        }
    return {"local": []} if alone else None


def _lanes(wishes: Wishes) -> Data:
    lanes: dict[str, Data] = {}
    local, background = wishes.local, "; background work is local and free" if wishes.local else ""
    if local is None:
        lanes["local"] = lanes["local-private"] = {"enabled": False}
        lanes["routed"] = {"models": {"haiku": "claude-haiku-4-5"}}
    else:
        if BACKENDS[local.kind].native_anthropic(_record(local)) is None:
            lanes["local-private"] = {"enabled": False}
        elif local.token:
            lanes["local-private"] = {"credential": local.secret}
        if wishes.cloud in ("none", "mistral"):
            lanes["local"] = {"billed": "nobody"}
        elif wishes.cloud == "foundry":
            lanes["local"] = {"billed": f"nobody, unless the local server fails: then {PAYERS['foundry']}"}
    if local is None and wishes.cloud in ("anthropic", "both"):
        lanes["routed"] |= {"billed": PAYERS["anthropic"]}
    if wishes.cloud == "foundry":
        lanes["routed"] = {**lanes.get("routed", {}), "billed": f"{PAYERS['foundry']}{background}"}
        lanes["cloud"] = {"billed": PAYERS["foundry"]}
    if wishes.cloud == "none":
        lanes["routed"] = lanes["cloud"] = {"enabled": False}
    if wishes.cloud == "both":
        models = {"main": "sonnet-4-6", "opus": "opus-4-8", "sonnet": "sonnet-4-6", "fable": "opus-4-8"}
        haiku = "local" if local else "foundry-claude-haiku-4-5"
        lanes["foundry"] = {
            "models": {slot: f"foundry-claude-{name}" for slot, name in models.items()} | {"haiku": haiku},
            "config_dir": "~/.claude-foundry",
            "billed": f"{PAYERS['foundry']}{background}",
        }
    if wishes.cloud == "mistral":
        mistral = dict.fromkeys(SLOTS, "mistral-medium")
        lanes["cloud"] = {"models": mistral, "billed": PAYERS["mistral"]}
        haiku = "local" if local else "mistral-medium"
        lanes["routed"] = {"models": {**mistral, "haiku": haiku}, "billed": f"{PAYERS['mistral']}{background}"}
    return lanes


def _record(local: Local) -> Any:
    record, default, _ = RECORDS["backends"]
    return record.model_validate({**defaults()["defaults"][default], "name": local.name, "url": local.url})

"""What a host shall be, as claude-doctor and verify compare it: from settings to plain data. Nothing secret."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from signalbox.backends import backend_kind, kind_of, reading_of
from signalbox.backends.records import Backend
from signalbox.desired.firewall import RULES
from signalbox.desired.gateway_config import container
from signalbox.desired.lanes import lane_records
from signalbox.desired.routing import Routing
from signalbox.desired.secret_names import gateway_secrets, lane_secrets
from signalbox.desired.secret_paths import GATEWAY, GATEWAY_KEY, gateway_secret, lane_secret
from signalbox.desired.sshd import DROP_IN
from signalbox.settings import Settings
from signalbox.settings.models import who_bills

RECORDS = "/etc/signalbox/lanes.json"
MANAGED = "/etc/claude-code"


def expected(settings: Settings, routing: Routing, packages: Sequence[str]) -> dict[str, Any]:
    """Return what /etc/signalbox/doctor.json holds. `packages`: Debian packages that the tasks install."""
    agent, gateway_account = settings.service_account, settings.gateway_account
    held, below = settings.secrets, gateway_account.path(GATEWAY)
    keys = {agent.name: [lane_secret(held, agent, name) for name in ("gateway", *lane_secrets(settings))]}
    provided = [
        gateway_secret(held, gateway_account, name) for name in (GATEWAY_KEY, *gateway_secrets(settings, routing))
    ]
    keys[gateway_account.name] = [*keys.get(gateway_account.name, []), *provided]
    private: dict[str, list[str]] = {agent.name: [agent.path(".config/signalbox")]}
    private[gateway_account.name] = [*private.get(gateway_account.name, []), below, f"{below}/secrets"]
    users = list(dict.fromkeys((agent.name, gateway_account.name)))
    return {
        "user": agent.name,
        "users": users if settings.service_user.enabled else [],
        "linger": settings.service_user.linger,
        "packages": list(packages),
        "docker": {
            "users": [each.name for each in settings.docker_accounts] if settings.rootless_docker.enabled else []
        },
        "versions": _versions(settings),
        "gateway": {
            "enabled": settings.gateway.enabled,
            "user": gateway_account.name,
            "port": settings.gateway.port,
            "url": f"http://127.0.0.1:{settings.gateway.port}",
            "looks_every": settings.gateway.health_check_interval_seconds,
            "image": container(settings, routing).image,
            "config": f"{below}/config.yaml",
        },
        "keys": keys if settings.secrets.enabled else {},
        "kept_from_shells": list(kept_from_shells(settings, routing)),
        "private": private if settings.secrets.enabled else {},
        "lanes": lane_records(settings, routing) if settings.launchers.enabled else {"lanes": {}},
        "records": RECORDS,
        "managed": MANAGED,
        "backends": {
            name: _backend(settings, routing, record)
            for name, record in settings.backends.items()
            if record.enabled and record.own
        },
        "web_search": settings.gateway.web_search.url
        if settings.gateway.enabled and settings.gateway.web_search
        else None,
        "clouds": {record.name: kind_of(record).probe(record).url for record in who_bills(settings)},
        "local": _local(routing),
        "failover": {
            name: list(after)
            for name, after in settings.gateway.fallbacks.items()
            if after and settings.gateway.enabled
        },
        "cooldown_seconds": max(settings.gateway.cooldown_seconds, settings.gateway.health_check_interval_seconds),
        "limits": {
            "min_free_mib": settings.doctor.min_free_mib,
            "max_key_days": settings.doctor.max_key_days,
            "smoke_seconds": settings.doctor.smoke_seconds,
            "silence_seconds": settings.gateway.stream_timeout_seconds,
        },
        "report": {
            "webhook": settings.doctor.webhook,
            "mail_to": settings.doctor.mail_to,
            "mail_from": settings.doctor.mail_from,
            "mail_server": settings.doctor.mail_server,
            "timer": settings.doctor.enabled and settings.doctor.every_minutes is not None,
        },
        "protection": _protection(settings),
    }


def kept_from_shells(settings: Settings, routing: Routing) -> tuple[str, ...]:
    """Return the names of the providers' keys that no shell of the service user shall know."""
    guides = settings.secrets.on_host == "plain" and settings.gateway_account == settings.service_account
    if guides or not settings.secrets.enabled:
        return ()
    clients = {client.secret for client in settings.gateway.clients.values()}
    return tuple(sorted({*gateway_secrets(settings, routing)} - {*lane_secrets(settings)} - clients))


def _protection(settings: Settings) -> dict[str, Any]:
    accounts = (settings.service_account, settings.gateway_account)
    return {
        "firewall": RULES if settings.firewall.enabled else None,
        "egress": settings.firewall.egress.enabled,
        "sshd": DROP_IN if settings.ssh.enabled else None,
        "fail2ban": settings.fail2ban.enabled,
        "guard": settings.guard.enabled,
        "upgrades": settings.base.enabled and settings.base.unattended_upgrades,
        "sysctl": dict(settings.hardening.sysctl) if settings.hardening.enabled else {},
        "homes": list({each.home: None for each in accounts})
        if settings.hardening.enabled and settings.has_agent
        else [],
        "sudo": settings.service_user.sudo if settings.service_user.enabled else "unknown",
        # Public, and without the comment behind it.
        "logins": [" ".join(key.split()[:2]) for key in settings.service_user.authorized_keys]
        if settings.service_user.enabled
        else [],
    }


def _versions(settings: Settings) -> dict[str, str]:
    if not settings.toolchain.enabled:
        return {}
    pins = settings.pins
    return {"mise": pins.mise.version, "node": pins.node.version, "claude_code": pins.claude_code.version}


def _backend(settings: Settings, routing: Routing, record: Backend) -> dict[str, Any]:
    kind = backend_kind(record)
    listing = kind.listing(record)
    return {
        "kind": record.kind,
        "probe": kind.probe(record).url,
        "token": record.token is not None,
        "key": _key(settings, routing, record.token) if record.token else None,
        "listing": {"url": listing.url, "models": listing.models, "name": listing.name},
        "models": {
            name: {"id": str(model.id), "reading": reading_of(record, model)} for name, model in record.models.items()
        },
    }


def _key(settings: Settings, routing: Routing, secret: str) -> dict[str, str] | None:
    """Return who has a copy of a server's token on the host, and where."""
    agent, gateway_account = settings.service_account, settings.gateway_account
    if not settings.secrets.enabled:
        return None
    if secret in gateway_secrets(settings, routing):
        return {"user": gateway_account.name, "path": gateway_secret(settings.secrets, gateway_account, secret)}
    if secret in lane_secrets(settings):
        return {"user": agent.name, "path": lane_secret(settings.secrets, agent, secret)}
    return None


def _local(routing: Routing) -> dict[str, Any]:
    """Return, for each model that only servers on the own network have, by each of its names, who has it."""
    result: dict[str, Any] = {}
    for several in routing.groups.values():
        if not any(each.payer for each in several):
            there = {"id": several[0].model.id, "boxes": [each.id for each in several]}
            result |= dict.fromkeys(several[0].model.names, there)
    return result

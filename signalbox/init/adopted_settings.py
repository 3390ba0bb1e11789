"""From what a host has by hand to wishes and keys; what is not taken over is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from signalbox.fields.secrets import secret_name
from signalbox.init import model_servers
from signalbox.init.adopted_models import Gateway, account, local_entry
from signalbox.init.clouds import KINDS, SHIPPED, choice_of
from signalbox.init.existing_host import SECRETS, ByHandError, Found
from signalbox.init.to_settings import Local, Wishes, group_settings
from signalbox.secrets import Secret
from signalbox.settings.layers import defaults, merge
from signalbox.settings.sections.rootless_docker import DAEMON_KEYS

GATEWAY_KEY = "LITELLM_MASTER_KEY"  # made anew on the host: it is the gateway's own
_KEYS = {name: cloud["secret"] for name, cloud in SHIPPED.items()}


@dataclass
class Taken:
    """What comes of a host: its wishes, the keys for the vault, and what is to be told before anything is written."""

    wishes: Wishes
    secrets: dict[str, Secret] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)


def local(found: Found) -> Local | None:
    """Return the model on the person's own network that the gateway has.

    Raises:
        ByHandError: no server answers there, so nobody knows what kind it is.
    """
    entry = local_entry(found)
    if entry is None:
        return None
    url, token = entry.base.removesuffix("/v1"), found.secrets.get(entry.key)
    answered = model_servers.find(url, token)
    if not answered:
        raise ByHandError(
            f"no model server answers at {url}, from which the gateway there has its local model; start it"
        )
    server = answered[0]
    context = next((each.context for each in server.models if each.id == entry.id), None)
    least = defaults()["defaults"]["backend_model"]["context_length"]
    # A placeholder that the server does not look at is no secret.
    wants = token is not None and any(each.locked for each in model_servers.find(url) if each.kind == server.kind)
    return Local(server.kind, url, entry.id, max(context or 0, least), server.locked or wants)


def taken(found: Found, reached: Wishes, model: Local | None) -> Taken:
    """Return what comes of what a host has by hand.

    Args:
        reached: the wishes so far: how the host is reached, and its service user. model: as of `local`.
    """
    gateway = Gateway(found, model)
    used = [name for name in KINDS if gateway.models[name]]
    urls = {name: place["url"] for name, place in gateway.places.items() if "url" in place}
    wishes = replace(
        reached,
        local=model,
        cloud=choice_of(used),
        urls=urls,
        details={name: place for name, place in gateway.places.items() if name not in urls},
        fallbacks=gateway.fallbacks,
    )
    shared: dict[str, Any] = {}
    if model and gateway.aliases:
        shared["backends"] = {model.name: {"models": {"local": {"aliases": gateway.aliases}}}}
    if clouds := gateway.clouds(used):
        shared["clouds"] = clouds
    usual = merge(defaults(), group_settings(wishes))["lanes"]
    lanes = {name: each for name, each in gateway.lanes(used).items() if merge(usual[name], each) != usual[name]}
    if found.effort in ("low", "medium"):
        lanes["routed"] = {**lanes.get("routed", {}), "effort": found.effort}
    elif found.effort not in ("", "high"):
        gateway.told.append(
            f"effortLevel {found.effort} of ~/.claude-routed is high from now on: many servers refuse it"
        )
    if lanes:
        shared["lanes"] = lanes
    beside = {**_set_aside(found), **_machine(found, reached, gateway.told)}
    secrets = _secrets(found, model, gateway.told)
    return Taken(replace(wishes, shared=shared, beside=beside), secrets, gateway.told)


def _secrets(found: Found, model: Local | None, told: list[str]) -> dict[str, Secret]:
    """Return the keys that are there, by the names that settings have for them; others keep theirs."""
    ours: dict[str, str] = {}
    for entry in found.models:
        name = _KEYS.get(account(entry)) or (
            model.secret if model and model.token and account(entry) == "local" else ""
        )
        other = next((key for key, each in ours.items() if each == name), None)
        if name and entry.key and other not in (None, entry.key) and _differs(found, entry.key, str(other)):
            told.append(f"not taken over: the key of {entry.name}; {name} is another")
        elif name and entry.key and other is None:
            ours[entry.key] = name
    kept = {ours[key]: found.secrets[key] for key in ours if key in found.secrets}
    literal = {each.key for each in found.models} - set(ours)
    for name, value in found.secrets.items():
        if name not in ours and name != GATEWAY_KEY and not (name in literal and name.startswith("FROM_CONFIG_")):
            kept.setdefault(name, value)
    if any(each.key.startswith("FROM_CONFIG_") for each in found.models):
        told.append("keys stand in LiteLLM's config.yaml there, which stays: take them out when all works")
    return {name: value for name, value in kept.items() if value.problem() is None and _is_name(name)}


def _differs(found: Found, one: str, other: str) -> bool:
    return found.secrets.get(one) != found.secrets.get(other)


def _is_name(name: str) -> bool:
    try:
        return bool(secret_name(name))
    except ValueError:
        return False


def _set_aside(found: Found) -> dict[str, Any]:
    section: dict[str, Any] = {"containers": [found.container]} if found.container else {}
    if found.has_secrets_file:
        section["files"] = [SECRETS]
    if found.functions:
        section["functions"] = list(found.functions)
    return {"by_hand": section} if section else {}


def _machine(found: Found, reached: Wishes, told: list[str]) -> dict[str, Any]:
    """Return the settings that keep what else the machine does, and tell what will be otherwise."""
    settings: dict[str, Any] = {}
    if found.port != defaults()["gateway"]["port"]:
        settings["gateway"] = {"port": found.port}
    docker: dict[str, Any] = dict(reached.beside.get("rootless_docker", {}))
    if given_up := reached.beside.get("replaces"):
        settings["replaces"] = given_up
    elif found.docker != "debian":
        docker["source"] = found.docker
    if mirrors := found.daemon.get("registry-mirrors"):
        docker["registry_mirrors"] = [str(each).rstrip("/") for each in mirrors]
    if others := {key: found.daemon[key] for key in sorted(found.daemon.keys() - DAEMON_KEYS.keys())}:
        docker["daemon"] = others  # data-root says where containers are
        told.append(f"of ~/.config/docker/daemon.json these stay, in rootless_docker.daemon: {', '.join(others)}")
    if docker:
        settings["rootless_docker"] = docker
    answered = reached.beside.get("firewall", {})
    firewall: dict[str, Any] = {key: dict(value) if key == "open" else list(value) for key, value in answered.items()}
    firewall.get("open", {}).pop(f"tcp/{found.port}", None)  # the gateway's own, which is on the loopback from now on
    for port in found.ssh_ports:
        firewall.get("open", {}).pop(f"tcp/{port}", None)
    shut = firewall.get("shut", defaults()["firewall"]["shut"])
    if found.port in found.listening and f"tcp/{found.port}" not in shut:
        firewall["shut"] = shut = [*shut, f"tcp/{found.port}"]
    closed = {found.port, reached.port, *(int(port[4:]) for port in shut if port.startswith("tcp/"))}
    if opened := [port for port in found.listening if port not in closed]:
        firewall["open"] = firewall.get("open", {}) | {f"tcp/{port}": ["lan"] for port in opened}
        own = ", ".join(str(port) for port in opened if port in found.of_user)
        told.append(
            f"others reach the ports {', '.join(map(str, opened))} there: they stay open to your own networks "
            "(firewall.open), and close to all others"
            + (f"; {reached.name} itself listens on {own}, so look whether that is meant" if own else "")
        )
    if set(found.ssh_ports) - {reached.port}:
        firewall["ssh_ports"] = sorted({*found.ssh_ports, reached.port})
        told.append(f"sshd listens on {', '.join(map(str, firewall['ssh_ports']))}: all stay open (firewall.ssh_ports)")
    if firewall:
        settings["firewall"] = firewall
    if found.program and not found.program.endswith("/.local/bin/claude"):  # that one gives way, and is kept
        npm = "/node/" in found.program or "node_modules" in found.program
        cure = "`npm uninstall --global @anthropic-ai/claude-code`" if npm else "take it away there"
        told.append(
            f"at a prompt `claude` is {found.program}, until you {cure}; lanes start the pinned one all the same"
        )
    if "sudo" in found.groups:
        told.append(
            f"{reached.name} is in the group sudo, so the agent may become root; `deluser {reached.name} sudo` there "
            "takes that away, or service_user.sudo says that it is meant"
        )
    return settings


def lines(taken_over: Taken, found: Found) -> Iterator[str]:
    """Yield what a person reads before anything is written."""
    wishes = taken_over.wishes
    yield f"local model: {f'{wishes.local.model} at {wishes.local.url}' if wishes.local else 'none'}"
    yield f"cloud: {wishes.cloud}"
    yield f"keys: {', '.join(sorted(taken_over.secrets)) or 'none'}"
    if found.secrets:
        yield "They lay there in clear, where the agent could read them: change them at their providers when you can"
    yield "sshd takes no passwords any more, and the firewall lets in ssh and what firewall.open names"
    yield from taken_over.told

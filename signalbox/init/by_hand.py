"""A host that was set up by the first guide, or its installer: what is there, and which wishes it stands for."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import paramiko
import yaml

from signalbox.init import servers
from signalbox.init.about_clouds import CLAUDES
from signalbox.init.host import run
from signalbox.init.wishes import Local
from signalbox.secrets import Secret, SecretError
from signalbox.secrets.text import assignments
from signalbox.settings.fields import secret_name
from signalbox.settings.layers import defaults

SECRETS = ".config/claude-secrets.env"
GATEWAY_KEY = "LITELLM_MASTER_KEY"  # made anew on the host: it is the gateway's own
_CONFIGS = ("litellm/config.yaml", ".config/litellm/config.yaml", "litellm/litellm-config.yaml", "litellm-config.yaml")

# As the user itself, from root or sudo: root does not follow links that an agent may have laid in its home.
_READ = r"""
user=$1
id -u "$user" >/dev/null 2>&1 || { echo nobody=; exit 0; }
docker=unix:///run/user/$(id -u "$user")/docker.sock
as() { runuser -u "$user" -- env -i HOME="/home/$user" PATH="$PATH" DOCKER_HOST="$docker" sh -c "cd && $1"; }
tell() { printf '%s=%s\n' "$1" "$(base64 -w0)"; }
as 'cat .config/claude-secrets.env' 2>/dev/null | tell secrets
as 'cat .bashrc .bash_aliases .profile .zshrc' 2>/dev/null | tell shells
container=$(as 'docker ps -a --format "{{.Names}} {{.Image}}"' 2>/dev/null |
    awk '$1 == "litellm" || $2 ~ /litellm/ {print $1; exit}')
printf '%s' "$container" | tell container
if [ -n "$container" ]; then
    source=$(as "docker inspect --format '{{range .Mounts}}{{println .Source}}{{end}}' $container" |
        grep -E 'ya?ml$' | head -n 1)
    printf '%s' "$source" | tell mount
fi
for file in "${source:-}" CONFIGS; do
    [ -n "$file" ] && as "[ -f '$file' ]" || continue
    as "cat '$file'" | tell config
    break
done
dpkg-query -W -f '${db:Status-Status}' docker-ce 2>/dev/null | grep -q '^installed$' && printf docker | tell engine
[ ! -e "/home/$user/.config/signalbox" ] || printf yes | tell ours
true
""".replace("CONFIGS", " ".join(_CONFIGS))


class ByHandError(Exception):
    """A host that cannot be taken over; why, and what to do."""


@dataclass(frozen=True)
class Found:
    """What a host has by hand.

    models: entries of LiteLLM's model_list. fallbacks: of its router_settings. secrets: by the names in the file.
    """

    models: tuple[Mapping[str, Any], ...] = ()
    fallbacks: Mapping[str, list[str]] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    container: str = ""
    functions: tuple[str, ...] = ()
    has_secrets_file: bool = False
    docker: str = "debian"


def look(client: paramiko.SSHClient, user: str, sudo: str, password: Secret | None) -> Found:
    """Read what a host's service user has by hand; nothing is changed.

    Args:
        sudo: how root is reached, as of found.Machine.

    Raises:
        ByHandError: there is nothing of the guide's.
    """
    shell = f"sh -c {shlex.quote(_READ)} sh {shlex.quote(user)}"
    words = {"root": shell, "free": f"sudo -n {shell}", "password": f"sudo -S -p '' {shell}"}[sudo]
    said = run(client, words, f"{password.reveal()}\n" if sudo == "password" and password else "")
    told = {
        key: base64.b64decode(value).decode(errors="replace")
        for key, _, value in (line.partition("=") for line in said.splitlines())
        if re.fullmatch(r"[A-Za-z0-9+/=]*", value)
    }
    if "nobody" in told or "secrets" not in told:
        raise ByHandError(
            f"there is no user {user} there, or it cannot be looked at; name the one of the guide: --user"
        )
    if not told.get("config"):
        raise ByHandError(
            f"{user} has no configuration of LiteLLM there (looked for: its container, ~/{', ~/'.join(_CONFIGS)})"
        )
    try:
        config = yaml.safe_load(told["config"])
        secrets = assignments(told["secrets"], f"~{user}/{SECRETS}")
    except yaml.YAMLError:
        raise ByHandError("LiteLLM's config.yaml there is no YAML; mend it first") from None
    except SecretError as error:
        raise ByHandError(str(error)) from None
    if not isinstance(config, Mapping) or not isinstance(config.get("model_list"), list):
        raise ByHandError("LiteLLM's config.yaml there has no model_list; mend it first")
    return Found(
        models=tuple(each for each in config["model_list"] if isinstance(each, Mapping)),
        fallbacks=_fallbacks(config),
        secrets=secrets,
        container=told.get("container", ""),
        functions=tuple(_functions(told.get("shells", ""))),
        has_secrets_file=bool(told["secrets"]),
        docker=told.get("engine") or "debian",
    )


def _fallbacks(config: Mapping[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for section in ("litellm_settings", "router_settings"):
        entries = (config.get(section) or {}).get("fallbacks") or []
        found |= {str(name): list(map(str, models)) for entry in entries for name, models in entry.items()}
    return found


def _functions(shells: str) -> Iterator[str]:
    """Yield the launchers that shell files define, each once: ours are programs of the same names."""
    found = re.findall(r"^\s*(?:function\s+|alias\s+)?(claude-[\w-]+)\s*(?:\(\s*\)|=|\{)", shells, re.M)
    yield from dict.fromkeys(found)


def local(found: Found) -> Local | None:
    """Return the model on the person's own network that the gateway has.

    Raises:
        ByHandError: no server answers there, so nobody knows what kind it is.
    """
    entry = next((each for each in found.models if _is_local(each)), None)
    if entry is None:
        return None
    params = entry["litellm_params"]
    url = str(params["api_base"]).rstrip("/").removesuffix("/v1")
    model = str(params["model"]).partition("/")[2]
    token = found.secrets.get(_key_name(params) or "")
    answered = servers.find(url, token)
    if not answered:
        raise ByHandError(
            f"no model server answers at {url}, from which the gateway there has its local model; start it"
        )
    server = answered[0]
    context = next((each.context for each in server.models if each.id == model), None)
    return Local(
        server.kind,
        url,
        model,
        max(context or 0, defaults()["defaults"]["backend_model"]["context_length"]),
        server.locked or _wants(server, url, token),
    )


def _wants(server: Any, url: str, token: Secret | None) -> bool:
    """Whether the server asks for its token: a placeholder that it does not look at is no secret."""
    return token is not None and any(each.locked for each in servers.find(url) if each.kind == server.kind)


def _is_local(entry: Mapping[str, Any]) -> bool:
    base = str((entry.get("litellm_params") or {}).get("api_base") or "")
    return bool(base) and not _is_foundry(entry) and not _is_anthropic(entry)


def _provider(entry: Mapping[str, Any]) -> str:
    return str((entry.get("litellm_params") or {}).get("model") or "").partition("/")[0]


def _is_foundry(entry: Mapping[str, Any]) -> bool:
    base = str((entry.get("litellm_params") or {}).get("api_base") or "")
    return _provider(entry) == "azure_ai" or (_provider(entry) == "anthropic" and base.endswith("/anthropic"))


def _is_anthropic(entry: Mapping[str, Any]) -> bool:
    return _provider(entry) == "anthropic" and not _is_foundry(entry)


def _key_name(params: Mapping[str, Any]) -> str | None:
    found = re.fullmatch(r"os\.environ/(\w+)", str(params.get("api_key") or ""))
    return found[1] if found else None


@dataclass(frozen=True)
class Clouds:
    """cloud: of wishes.CLOUDS. deployments: by Claude's names. urls: of accounts that are elsewhere than usual."""

    cloud: str
    resource: str
    deployments: Mapping[str, str]
    urls: Mapping[str, str]


def clouds(found: Found) -> Clouds:
    """Return which clouds the gateway there has."""
    foundry = [each for each in found.models if _is_foundry(each)]
    direct = [each for each in found.models if _is_anthropic(each)]
    cloud = {(True, True): "both", (True, False): "foundry", (False, True): "anthropic"}.get(
        (bool(foundry), bool(direct)), "none"
    )
    urls, resource, deployments = {}, "", {}
    if direct and (base := direct[0]["litellm_params"].get("api_base")):
        urls["anthropic"] = str(base).rstrip("/")
    if foundry:
        base = str(foundry[0]["litellm_params"].get("api_base") or "").rstrip("/").removesuffix("/anthropic")
        host = urlsplit(base).hostname or ""
        resource = host.partition(".")[0] if host.endswith(".services.ai.azure.com") else ""
        if not resource:
            urls["foundry"] = base
        deployments = {name: _deployment(foundry, name.split("-")[1]) for name in CLAUDES}
    return Clouds(cloud, resource, deployments, urls)


def _deployment(entries: list[Mapping[str, Any]], family: str) -> str:
    """Return the deployment of a family of models, the first of all where none is of it."""
    named = [each for each in entries if family in str(each.get("model_name", "")).lower()]
    return str((named or entries)[0]["litellm_params"]["model"]).partition("/")[2]


def secrets(found: Found, model: Local | None) -> dict[str, Secret]:
    """Return the keys that are there, by the names that settings have for them; others keep theirs."""
    names: dict[str, str] = {}
    for entry in found.models:
        if name := _key_name(entry.get("litellm_params") or {}):
            ours = "FOUNDRY_API_KEY" if _is_foundry(entry) else "ANTHROPIC_DIRECT_KEY" if _is_anthropic(entry) else ""
            names[name] = ours or (model.secret if model and model.token else name)
    kept = {}
    for name, value in found.secrets.items():
        if name != GATEWAY_KEY and value.problem() is None and _is_name(names.get(name, name)):
            kept[names.get(name, name)] = value
    return kept


def _is_name(name: str) -> bool:
    try:
        return bool(secret_name(name))
    except ValueError:
        return False


def set_aside(found: Found) -> dict[str, Any]:
    """Return the section `by_hand`."""
    section: dict[str, Any] = {}
    if found.container:
        section["containers"] = [found.container]
    if found.has_secrets_file:
        section["files"] = [SECRETS]
    if found.functions:
        section["functions"] = list(found.functions)
    return section

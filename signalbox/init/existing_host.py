"""A host that was set up by the first guide, or its installer: what is there. Nothing is changed."""

from __future__ import annotations

import base64
import ipaddress
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import paramiko
import yaml

from signalbox.init.host import run
from signalbox.secrets import Secret, SecretError
from signalbox.secrets.file_formats import assignments

SECRETS = ".config/claude-secrets.env"
_CONFIGS = ("litellm/config.yaml", ".config/litellm/config.yaml", "litellm/litellm-config.yaml", "litellm-config.yaml")
_VARIABLE = re.compile(r"os\.environ/(\w+)")
_LITERAL = "FROM_CONFIG_{}"  # the name of a key that stands in config.yaml itself

# As the user itself, from root or sudo: root does not follow links that an agent may have laid in its home. The
# kernel tells what listens, without names: a process is called what its owner likes.
_READ = r"""
user=$1
id -u "$user" >/dev/null 2>&1 || { echo nobody=; exit 0; }
docker=unix:///run/user/$(id -u "$user")/docker.sock
as() {
    timeout -k 1 10 runuser -u "$user" -- env -i HOME="/home/$user" PATH="$PATH" DOCKER_HOST="$docker" sh -c "cd && $1"
}
most() { head -c 1000000; }
tell() { printf '%s=%s\n' "$1" "$(most | base64 -w0)"; }
as 'cat .config/claude-secrets.env' 2>/dev/null | tell secrets
as 'cat .bashrc .bash_aliases .profile .zshrc' 2>/dev/null | tell shells
as 'cat .claude-routed/settings.json' 2>/dev/null | tell claude
as 'cat .config/docker/daemon.json' 2>/dev/null | tell daemon
as 'ulimit -v 2000000; timeout -k 1 8 bash -ic "type -P claude" </dev/null' 2>/dev/null |
    most | tail -n 1 | tell program
id -nG "$user" | tell groups
id -u "$user" | tell uid
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | tell sockets
find /proc/[0-9]*/exe -maxdepth 0 '(' -lname /usr/sbin/sshd -o -lname '/usr/sbin/sshd (deleted)' ')' -printf '%h\n' |
    while read -r process; do find "$process/fd" -lname 'socket:*' -printf '%l\n'; done 2>/dev/null | tell sshd
if systemctl is-active --quiet ssh.socket; then systemctl show --property=Listen --value ssh.socket | tell activated; fi
container=$(as 'docker ps -a --format "{{.Names}} {{.Image}}"' 2>/dev/null | most |
    awk '$1 == "litellm" {name = $1} $2 ~ /litellm/ && !other {other = $1} END {print name ? name : other}')
printf '%s' "$container" | tell container
if [ -n "$container" ]; then
    source=$(as "docker inspect --format '{{range .Mounts}}{{println .Source}}{{end}}' $container" | most |
        grep -E 'ya?ml$' | head -n 1)
    as "docker inspect --format '{{json .HostConfig.PortBindings}}' $container" | tell ports
fi
for file in "${source:-}" CONFIGS; do
    [ -n "$file" ] && as "[ -f '$file' ]" || continue
    as "cat '$file'" | tell config
    break
done
dpkg-query -W -f '${db:Status-Status}' docker-ce 2>/dev/null | grep -q '^installed$' && printf docker | tell engine
true
""".replace("CONFIGS", " ".join(_CONFIGS))


class ByHandError(Exception):
    """A host that cannot be taken over; why, and what to do."""


@dataclass(frozen=True)
class Entry:
    """A model of LiteLLM's configuration. name: as it is asked for. base: its address, if it has one.

    key: the name of its key in Found.secrets.
    """

    name: str
    provider: str
    id: str
    base: str = ""
    key: str = ""


@dataclass(frozen=True)
class Found:
    """What a host has by hand.

    fallbacks: of the gateway's models. secrets: by the names in the file; a key that stood in the configuration has a
    name of its own. functions: launchers of the shell files, each with the variables that it sets. program: the claude
    that a prompt finds. port: where the gateway listens. groups: of the user. listening: ports that others reach,
    without those of root's sshd, which are ssh_ports; of_user: those of them that the user itself has opened.
    """

    models: tuple[Entry, ...] = ()
    fallbacks: Mapping[str, list[str]] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    container: str = ""
    functions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    has_secrets_file: bool = False
    program: str = ""
    docker: str = "debian"
    port: int = 4000
    effort: str = ""
    daemon: Mapping[str, Any] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    listening: tuple[int, ...] = ()
    ssh_ports: tuple[int, ...] = ()
    of_user: tuple[int, ...] = ()


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
    return understood(told, user)


def understood(told: Mapping[str, str], user: str) -> Found:
    """Return what the files of a host by hand say.

    Raises:
        ByHandError: one of them is not as it must be; which, and where.
    """
    try:
        config = yaml.safe_load(told["config"])
        secrets = assignments(told["secrets"], f"~{user}/{SECRETS}")
    except yaml.YAMLError:
        raise ByHandError("LiteLLM's config.yaml there is no YAML; mend it first") from None
    except SecretError as error:
        raise ByHandError(str(error)) from None
    if not isinstance(config, Mapping) or not isinstance(config.get("model_list"), list):
        raise ByHandError("LiteLLM's config.yaml there has no model_list; mend it first")
    models = tuple(_entry(number, each, secrets) for number, each in enumerate(config["model_list"], start=1))
    listening = tuple(_listening(told.get("sockets", "")))
    activated = {int(port) for port in re.findall(r":(\d{1,5}) \(Stream\)", told.get("activated", ""))}
    owned = set(re.findall(r"^socket:\[(\d+)\]$", told.get("sshd", ""), re.M))
    sshd = {port for port, uid, inode in listening if uid == "0" and (inode in owned or port in activated)}
    program = told.get("program", "").strip()
    effort, daemon = _json(told.get("claude", "")).get("effortLevel"), _json(told.get("daemon", ""))
    return Found(
        models=models,
        fallbacks=_fallbacks(config),
        secrets=secrets,
        container=told.get("container", ""),
        functions=dict(_functions(told.get("shells", ""))),
        has_secrets_file=bool(told["secrets"]),
        program=program if program.isprintable() else "",
        docker=told.get("engine") or "debian",
        port=_port(_json(told.get("ports", ""))),
        effort=effort if isinstance(effort, str) else "",
        daemon=daemon,
        groups=tuple(told.get("groups", "").split()),
        listening=tuple(sorted({port for port, _, _ in listening} - sshd)),
        ssh_ports=tuple(sorted(sshd)),
        of_user=tuple(sorted({port for port, uid, _ in listening if uid == told.get("uid", "").strip()} - sshd)),
    )


def _entry(number: int, given: Any, secrets: dict[str, Secret]) -> Entry:
    """Return a model of the configuration; a key that stands in it is added to `secrets`."""
    where = f"LiteLLM's config.yaml there: model_list, entry {number}"
    params = given.get("litellm_params") if isinstance(given, Mapping) else None
    if not isinstance(params, Mapping) or not isinstance(params.get("model"), str):
        raise ByHandError(f"{where} has no litellm_params with a model; mend it first")
    provider, slash, model = params["model"].partition("/")
    if not slash:  # LiteLLM knows some models without their provider
        provider, model = ("anthropic" if provider.startswith("claude") else "openai"), provider
    base, key = str(params.get("api_base") or ""), str(params.get("api_key") or "")
    if variable := _VARIABLE.fullmatch(base):
        if variable[1] not in secrets:
            raise ByHandError(f"{where}: api_base is {base}, which ~/{SECRETS} does not have; write the address")
        base = secrets[variable[1]].reveal()
    if key and not (variable := _VARIABLE.fullmatch(key)):
        secrets[_LITERAL.format(number)] = Secret(key)
    name = variable[1] if key and variable else _LITERAL.format(number) if key else ""
    return Entry(str(given.get("model_name") or model), provider, model, base.rstrip("/"), name)


def _fallbacks(config: Mapping[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for section in ("litellm_settings", "router_settings"):
        values = config.get(section) or {}
        entries = (values.get("fallbacks") or []) if isinstance(values, Mapping) else None
        for entry in entries if isinstance(entries, list) else [None]:
            pairs = entry.items() if isinstance(entry, Mapping) else [(None, None)]
            for name, models in pairs:
                if not isinstance(name, str) or not isinstance(models, list):
                    raise ByHandError(
                        f"LiteLLM's config.yaml there: {section}.fallbacks is not a list such as "
                        '[{"local": ["claude-haiku"]}]; mend it first'
                    )
                found[name] = [str(model) for model in models]
    return found


def _functions(shells: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the launchers that shell files define, each once: ours are programs of the same names."""
    heads = list(re.finditer(r"^\s*(?:function\s+|alias\s+)?(claude-[\w-]+)\s*(?:\(\s*\)|=|\{)", shells, re.M))
    for head, after in zip(heads, [*heads[1:], None], strict=False):
        text = shells[head.start() : after.start() if after else None]
        body = re.split(r"^\}", text, maxsplit=1, flags=re.M)[0]
        yield head[1], dict(re.findall(r"\b(ANTHROPIC_\w*MODEL)=[\"']?([\w.:/@-]+)", body))


def _listening(told: str) -> Iterator[tuple[int, str, str]]:
    """Yield what other machines reach, of /proc/net/tcp and tcp6: port, uid of who opened it, the socket's inode."""
    for line in told.splitlines():
        words = line.split()
        local = re.fullmatch(r"([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})", words[1]) if len(words) > 9 else None
        if not local or words[3] != "0A":
            continue
        # Words of 32 bits, each as the machine has it: ours have the lowest byte first.
        parts = [bytes.fromhex(local[1][at : at + 8])[::-1] for at in range(0, len(local[1]), 8)]
        address = ipaddress.ip_address(b"".join(parts))
        mapped = getattr(address, "ipv4_mapped", None) or address
        if not mapped.is_loopback:
            yield int(local[2], 16), words[7], words[9]


def _port(bindings: Mapping[str, Any]) -> int:
    """Return where the gateway's container is reached, as Docker tells it."""
    ports = [each.get("HostPort", "") for entries in bindings.values() for each in entries or ()]
    return next((int(port) for port in ports if port.isdigit()), 4000)


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

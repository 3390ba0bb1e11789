"""A bare host against a plain shell script that makes the same of an identical one, from the same mirrors.

The script is what a person would write who knows all answers: one apt transaction, archives fetched with curl, files
unpacked from a tar, services started; it checks nothing and repairs nothing. Its files come from a converged host.
"""

from __future__ import annotations

import base64
import shlex
import subprocess
from typing import Any

from bench.measure import Racer
from bench.profiles import PROFILES
from bench.racers import PYINFRA
from bench.site import Site, Way, environment, inside
from signalbox.desired.addresses import NPM
from signalbox.settings import Settings
from signalbox.settings.layers import defaults
from tests.lab import hosts, services

PROFILE = "guide1"
SCRIPT, OURS = "a plain script over ssh", "Signalbox"
# Placed on a host but made on it, or not files of ours to carry.
_NOT_CARRIED = ("/.local/share/mise", "/claude-code-")


def settings(name: str) -> Settings:
    """Return the settings of the host with the profile that is raced here."""
    layers = [("group_data/all.py", defaults()), ("group lab", services.lab_settings()), ("host", PROFILES[PROFILE])]
    return Settings.from_layers(layers, host=name)


def script(reference: str, resources: dict[str, Any]) -> str:
    """Return the script, with the files of the converged host `reference` in it."""
    s = settings(reference)
    account = s.service_account
    paths = [each["path"] for kind in ("directories", "files", "links") for each in resources[kind]]
    carried = [path for path in paths if not any(part in path for part in _NOT_CARRIED)]
    listing = "\n".join(path.lstrip("/") for path in carried)
    archive = subprocess.run(
        hosts.inside(reference, "tar", "-C", "/", "-cz", "--no-recursion", "-T", "-"),
        input=listing.encode(), capture_output=True, check=True, timeout=120,
    ).stdout  # fmt: skip
    user, home = account.name, account.home
    version, package = s.pins.claude_code.version, "@anthropic-ai/claude-code-linux-x64"
    claude = f"/usr/local/lib/signalbox/claude-code-{version}/node_modules/{package}"
    npm = f"{s.mirrors.npm or NPM}/{package}/-/claude-code-linux-x64-{version}.tgz"
    (image,) = {each["reference"] for each in resources["images"]}
    mise = f"/usr/local/lib/signalbox/mise-{s.pins.mise.version}"
    in_home = f"cd {home} && export HOME={home} XDG_RUNTIME_DIR=/run/user/$(id -u {user})"
    trust = "NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt" if s.extra_ca_certificates else ""

    def as_user(words: str) -> str:
        return f"setpriv --reuid={user} --regid={user} --init-groups sh -c {shlex.quote(f'{in_home} && {words}')}"

    lines = [
        "set -eux",
        "export DEBIAN_FRONTEND=noninteractive",
        f"useradd --create-home --shell /bin/bash {user}",
        f"base64 -d <<'END' | tar -C / -xz\n{base64.encodebytes(archive).decode()}END",
        f"chown -Rh {user}: {home}",
        "apt-get -q update",
        f"apt-get -yq --no-install-recommends install {' '.join(resources['packages'])}",
        "update-ca-certificates",
        "systemctl daemon-reload",
        f"loginctl enable-linger {user}",  # its manager finds a bus of its own from the start
        f"mkdir -p {mise}",
        f"curl -fsSL {s.mirrors.mise}/v{s.pins.mise.version}/mise-v{s.pins.mise.version}-linux-x64.tar.gz"
        f" | tar -xz -C {mise} --strip-components=1",
        as_user(
            f"MISE_NODE_MIRROR_URL={s.mirrors.node}/ MISE_USE_VERSIONS_HOST=0 {trust}"
            f" mise install --yes node@{s.pins.node.version} && mise reshim"
        ),
        f"mkdir -p {claude} && curl -fsSL {npm} | tar -xz -C {claude} --strip-components=1",
        as_user("systemctl --user daemon-reload && systemctl --user enable --now docker.service"),
        as_user(f"export DOCKER_HOST=unix://$XDG_RUNTIME_DIR/docker.sock && docker pull -q {image}"),
        as_user("systemctl --user enable --now litellm.service"),  # started means that it answers
    ]
    return "\n".join(lines) + "\n"


def answers(name: str) -> None:
    """Raise RuntimeError unless the host's Claude Code starts and its gateway answers."""
    account = settings(name).service_account
    look = f"{account.home}/.local/bin/claude --version && curl -fsS http://127.0.0.1:4000/health/liveliness"
    try:
        inside(name, f"runuser -u {account.name} -- env HOME={account.home} sh -c {shlex.quote(look)}")
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"{name} was not made: {error.stdout}{error.stderr}") from error


def racers(site: Site, name: str, reference: str) -> list[Racer]:
    """Return both; each makes `name`, which is bare again before it, of what `reference` is."""

    def bare() -> Way:
        if hosts.exists(name):
            hosts.down([name])
        hosts.up([name])
        return site.way("cold", [name], converged=False)  # it has another host key now

    way = bare()
    text = script(reference, site.resources(reference))

    def check(_: str) -> None:
        answers(name)

    return [
        Racer(SCRIPT, [*way.ssh[name], "sh -s"], stdin=text, before=bare, check=check),
        Racer(OURS, [*PYINFRA, str(way.pyinfra), "deploy.py", "-y"], environment(), before=bare, check=check),
    ]

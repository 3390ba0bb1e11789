"""Toolchain: mise, Node and Claude Code at their pins, found by every kind of shell and by systemd units."""

from __future__ import annotations

from pyinfra import host

from signalbox.desired.addresses import NPM
from signalbox.desired.render import render
from signalbox.engine.deploy import deploy
from signalbox.engine.outcome import fail
from signalbox.facts import Machine
from signalbox.operations import directories, file, first_line, link, manager_environment, node_of, tool
from signalbox.operations.files import sha256
from signalbox.operations.system import CA_BUNDLE
from signalbox.operations.tools import place
from signalbox.settings import Account
from signalbox.settings.sections.mirrors import Mirrors
from signalbox.settings.sections.pins import Pins
from signalbox.settings.sections.toolchain import Toolchain

ENV = ".config/signalbox/env.sh"
MANAGED = "/etc/claude-code/managed-settings.d"


@deploy("Toolchain")
def toolchain(settings: Toolchain, pins: Pins, mirrors: Mirrors, account: Account, extra_ca: bool) -> None:
    """Install the pinned tools for `account`; `extra_ca`: Node shall trust the system's CAs too."""
    if not settings.enabled:
        return
    debian_architecture = host.get_fact(Machine).architecture or "amd64"
    architecture = {"amd64": "x64", "arm64": "arm64"}[debian_architecture]
    mise_sha256 = getattr(pins.mise.sha256, debian_architecture)
    node_sha256 = getattr(pins.node.sha256, debian_architecture)
    integrity = getattr(pins.claude_code.integrity, debian_architecture)
    pinned = {"mise.sha256": mise_sha256, "node.sha256": node_sha256, "claude_code.integrity": integrity}
    unset = [f"pins.{pin}.{debian_architecture}" for pin, value in pinned.items() if value is None]
    if unset:
        fail([f"this host is {debian_architecture}, and {', '.join(unset)} is not set; run `signalbox pin`"])
        return
    user, home = account.name, account.home
    tool(
        name=f"mise {pins.mise.version} is installed",
        ident="mise",
        version=pins.mise.version,
        archive=f"{mirrors.mise}/v{pins.mise.version}/mise-v{pins.mise.version}-linux-{architecture}.tar.gz",
        checksum=mise_sha256,
        program="bin/mise",
        account=user,
        home=home,
    )
    link(
        name="mise is on everyone's PATH",
        path="/usr/local/bin/mise",
        target=f"{place('mise', pins.mise.version)}/bin/mise",
    )
    node_archive = f"{mirrors.node}/v{pins.node.version}/node-v{pins.node.version}-linux-{architecture}.tar.gz"
    tool(
        name=f"node {pins.node.version} is installed",
        ident="node",
        version=pins.node.version,
        archive=node_archive,
        checksum=node_sha256,
        program="bin/node",
        account=user,
        home=home,
    )
    below = [".config", ".config/signalbox", ".config/environment.d", ".config/mise", ".config/mise/conf.d"]
    below += [".local", ".local/bin", ".local/share", ".local/share/signalbox"]
    directories(
        name=f"{user}: the toolchain has its directories",
        paths=[account.path(path) for path in below],
        mode="700",
        user=user,
    )
    file(
        name=f"{user}: mise has node {pins.node.version} where nothing else is named",
        path=account.path(".config/mise/conf.d/signalbox.toml"),
        content=render("toolchain/signalbox.toml", node=pins.node.version),
        user=user,
    )
    node_of(
        name=f"{user}: node {pins.node.version} is installed",
        account=user,
        home=home,
        version=pins.node.version,
        archive=node_archive,
        checksum=node_sha256,
        env={"NODE_EXTRA_CA_CERTS": CA_BUNDLE} if extra_ca else {},
    )
    # Its platform package alone: npm's main one is a stub whose install script links the binary of that.
    package = f"@anthropic-ai/claude-code-linux-{architecture}"
    claude_code = f"node_modules/{package}"  # where npm would have it: by that it knows how it was installed
    tool(
        name=f"Claude Code {pins.claude_code.version} is installed",
        ident="claude-code",
        version=pins.claude_code.version,
        archive=package,
        registry=mirrors.npm or NPM,
        checksum=integrity,
        below=claude_code,
        program="claude",
        account=user,
        home=home,
    )
    link(
        name=f"{user}: claude is Claude Code {pins.claude_code.version}",
        path=account.path(".local/bin/claude"),
        target=f"{place('claude-code', pins.claude_code.version)}/{claude_code}/claude",
        user=user,
    )
    _environment(account, pins.node.version, extra_ca)


def _environment(account: Account, node: str, extra_ca: bool) -> None:
    user = account.name
    file(
        name=f"{user}: the environment of shells is in place",
        path=account.path(ENV),
        content=render("toolchain/env.sh", node=node, extra_ca=extra_ca),
        user=user,
    )
    # First lines: Debian's ~/.bashrc ends early for `ssh host command`, and ~/.zshenv is read by every zsh.
    for shell_file in (".profile", ".bashrc", ".zshenv"):
        first_line(
            name=f"{user}: ~/{shell_file} loads it",
            path=account.path(shell_file),
            line=f'[ ! -r "$HOME/{ENV}" ] || . "$HOME/{ENV}"',
            user=user,
        )
    units = render("toolchain/50-signalbox.conf", node=node, extra_ca=extra_ca)
    marker = f"SIGNALBOX_ENVIRONMENT={sha256(units)[:12]}"
    file(
        name=f"{user}: the environment of systemd units is in place",
        path=account.path(".config/environment.d/50-signalbox.conf"),
        content=f"{units}{marker}\n",
        user=user,
    )
    manager_environment(
        name=f"{user}: the running user manager has it", account=user, home=account.home, variable=marker
    )
    directories(name=f"{MANAGED} exists", paths=["/etc/claude-code", MANAGED])
    file(
        name="Claude Code's own updater is off",
        path=f"{MANAGED}/50-signalbox.json",
        content=render("toolchain/managed-settings.json"),
    )

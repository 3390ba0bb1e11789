"""Pinned programs: fetched with a checksum, installed beside what runs, and recognised when tampered with."""

from __future__ import annotations

import json
import shlex

from pyinfra import host
from pyinfra.api import operation

from signalbox import manifest
from signalbox.facts import Tool
from signalbox.operations.commands import Commands
from signalbox.run_as import run_as
from signalbox.statements import differs, want

MISE_HOME = "/usr/local/lib/signalbox/mise"
_CURL = "curl --fail --silent --show-error --location --retry 3 --connect-timeout 20"


def _installed(ident: str, binary: str, version: str) -> bool:
    now = host.get_fact(Tool, ident=ident, binary=binary)
    want("tool", ident)
    if now.entry and now.fingerprint and now.entry.hash == f"{version} {now.fingerprint}":
        return True
    there = now.entry.hash.partition(" ")[0] if now.entry else "of a version that the manifest does not know"
    if not now.fingerprint:
        differs(ident, None, version)
    else:
        differs(ident, f"{version}, but not as it was installed" if there == version else there, version)
    return False


def _begin(ident: str) -> str:
    """Return shell that records the tool as not installed yet: an interrupted run leaves nothing that looks whole."""
    return manifest.record(manifest.Entry("tool", ident))


def _record(ident: str, binary: str, version: str) -> str:
    """Return shell that records the tool with the size and change time of its binary as they are now."""
    # Hashing hundreds of megabytes on every run would cost a second; size and ctime are free and hard to fake.
    path = shlex.quote(manifest.entry_path("tool", ident))
    start = json.dumps({"kind": "tool", "id": ident, "original": None})[:-1]
    return (
        f"{manifest.MAKE}"
        f' && printf \'%s, "hash": "%s %s"}}\\n\' {shlex.quote(start)} {version}'
        f" \"$(stat -L -c '%s-%Z' {binary} 2>/dev/null)\" > {path}.new && mv {path}.new {path}"
    )


@operation()
def mise(version: str, url: str, sha256: str) -> Commands:
    """Have mise `version` from the release archive at `url` as /usr/local/bin/mise, for every user."""
    home = f"{MISE_HOME}-{version}"
    binary = f"{home}/bin/mise"
    if _installed("mise", binary, version):
        host.noop(f"mise {version} is installed")
        return
    new = f"{home}.new"
    yield " && ".join(
        [
            _begin("mise"),
            f"rm -rf {new} && install -d -m 755 {new}",
            f"{_CURL} -o {new}/archive.tar.gz {shlex.quote(url)}",
            f"echo '{sha256}  {new}/archive.tar.gz' | sha256sum --check --quiet",
            f"tar -xzf {new}/archive.tar.gz -C {new} --strip-components=1 --no-same-owner && rm {new}/archive.tar.gz",
            f"rm -rf {home} && mv {new} {home}",
            # mise keeps a cache in the home of whoever starts it.
            f"t=$(mktemp -d) && HOME=$t {binary} --version > /dev/null && rm -rf $t",
            _record("mise", binary, version),
        ]
    )


@operation()
def node(
    account: str, home: str, version: str, mirror: str, archive: str, sha256: str, env: dict[str, str]
) -> Commands:
    """Have Node `version` installed by mise for `account`, its archive checked against the pin.

    One that is there already gives way; packages that the user has installed into it with npm are kept.

    + mirror: URL of a nodejs.org-style tree without a trailing slash. archive: file name below v<version>/.
    + env: more environment for mise, such as a CA bundle.
    """
    ident = f"node of {account}"
    binary = f"{home}/.local/share/mise/installs/node/{version}/bin/node"
    if _installed(ident, binary, version):
        host.noop(f"node {version} of {account} is installed")
        return
    # mise takes the checksum from a lock file; one of our own keeps the user's mise.lock theirs.
    config = f'[tools]\nnode = "{version}"\n[settings]\nlockfile = true\n'
    lock = (
        f'lockfile_version = 2\n\n[[tools.node]]\nversion = "{version}"\nbackend = "core:node"\n'
        f'specifiers = ["{version}"]\n\n[tools.node.options]\nmirror_url = "{mirror}/"\n\n'
        f'[tools.node."platforms.linux-{archive.rsplit("-", 1)[1].split(".")[0]}"]\n'
        f'checksum = "sha256:{sha256}"\nurl = "{mirror}/v{version}/{archive}"\n'
    )
    environment = {
        "MISE_CONFIG_DIR": "$d",
        "MISE_NODE_MIRROR_URL": f"{mirror}/",
        "MISE_USE_VERSIONS_HOST": "0",
        **env,
    }
    exports = " ".join(f'{key}="{value}"' for key, value in environment.items())
    there = f"$HOME/.local/share/mise/installs/node/{version}"
    kept = f"$HOME/.local/share/signalbox/node-{version}.kept"
    script = (
        # Not over what an interrupted run has kept; what is new stays as it came.
        f"back() {{ [ ! -d {kept}/$1 ] || cp -a --update=none {kept}/$1/. {there}/$1/; }};"
        f" {{ [ ! -d {there} ] || [ -e {kept} ] || mv {there} {kept}; }}"
        f" && d=$(mktemp -d) && trap 'rm -rf $d' EXIT && printf %s {shlex.quote(config)} > $d/config.toml"
        f" && printf %s {shlex.quote(lock)} > $d/mise.lock"
        f" && {{ env {exports} mise uninstall --yes node@{version} >/dev/null 2>&1 || true; }}"
        f" && env {exports} mise install --yes --locked"
        f" && back lib/node_modules && back bin && rm -rf {kept} && mise reshim && {binary} --version >/dev/null"
    )
    yield f"{_begin(ident)} && {run_as(account, home, script)} && {_record(ident, binary, version)}"


@operation()
def claude_code(
    account: str,
    home: str,
    version: str,
    architecture: str,
    integrity: str,
    registry: str | None,
    env: dict[str, str],
) -> Commands:
    """Have Claude Code `version` installed for `account` below ~/.local/share/signalbox, without running any script.

    npm's package is a stub whose install script links the native binary of a platform package. That package is
    installed by itself, from a lock file that holds its pinned integrity, and linked by the caller.

    + architecture: as npm writes it, x64 or arm64. integrity: npm's sha512 of the platform package.
    + registry: URL, None: npm's own configuration. env: more environment for npm, such as a CA bundle.
    """
    ident = f"claude-code of {account}"
    binary = claude_binary(home, version, architecture)
    if _installed(ident, binary, version):
        host.noop(f"Claude Code {version} of {account} is installed")
        return
    package = f"@anthropic-ai/claude-code-linux-{architecture}"
    root = {"name": "signalbox-claude-code", "private": True, "dependencies": {package: version}}
    lock = {
        "name": root["name"],
        "lockfileVersion": 3,
        "requires": True,
        "packages": {"": root, f"node_modules/{package}": {"version": version, "integrity": integrity}},
    }
    target = f"{home}/.local/share/signalbox/claude-code-{version}"
    exports = " ".join(f'{key}="{value}"' for key, value in env.items())
    npm = (
        f"npm ci --ignore-scripts --no-audit --no-fund --loglevel=error{f' --registry={registry}' if registry else ''}"
    )
    script = (
        f"export PATH=$HOME/.local/share/mise/shims:$PATH && rm -rf {target}.new {target} && mkdir -p {target}.new"
        f" && cd {target}.new && printf %s {shlex.quote(json.dumps(root))} > package.json"
        f" && printf %s {shlex.quote(json.dumps(lock))} > package-lock.json"
        f" && env {exports} {npm} && mv {target}.new {target} && {binary} --version >/dev/null"
    )
    yield f"{_begin(ident)} && {run_as(account, home, script)} && {_record(ident, binary, version)}"


def claude_binary(home: str, version: str, architecture: str) -> str:
    """Return the path of Claude Code's native binary of one version."""
    return (
        f"{home}/.local/share/signalbox/claude-code-{version}"
        f"/node_modules/@anthropic-ai/claude-code-linux-{architecture}/claude"
    )

"""Pinned programs: fetched, proven and kept by root, where no user can write; a home has links to them."""

from __future__ import annotations

import base64
import shlex

from pyinfra import host
from pyinfra.api import operation

from signalbox import manifest
from signalbox.facts import FINGERPRINT, Tool
from signalbox.operations.commands import Commands
from signalbox.operations.proven import record_as
from signalbox.run_as import run_as
from signalbox.statements import differs, want

TOOLS = "/usr/local/lib/signalbox"
_PATIENCE = 600  # seconds: what a user's own files can hold up ends then
# ~/.netrc of root's, where a mirror wants a login. No time limit but one on standing still: lines differ.
_CURL = (
    "curl --fail --silent --show-error --location --globoff --netrc-optional --retry 3 --connect-timeout 20"
    " --speed-limit 1000 --speed-time 60"
)
_ARCHIVE_BYTES, _LISTING_BYTES = 2 << 30, 64 << 20  # more is no such thing

# What npm itself makes of a package's listing: the archive's address, at the registry that was asked.
_ADDRESS = r"""
import json, re, sys
package, version, registry = sys.argv[1:]
try:
    listed = json.load(sys.stdin)["versions"][version]["dist"]["tarball"]
    url = re.sub(r"https?://registry\.npmjs\.org(?=/)", lambda _: registry, listed)
    print(re.fullmatch(r"https?://[\w.:-]+/[\w.@/%+~:?=&-]*", url)[0])
except (ValueError, LookupError, TypeError, RecursionError):
    sys.exit(f"{registry} names no archive of {package} {version}; check mirrors.npm")
"""


@operation()
def tool(
    ident: str,
    version: str,
    archive: str,
    checksum: str,
    program: str,
    account: str,
    home: str,
    below: str = "",
    registry: str | None = None,
) -> Commands:
    """Have a pinned program in `place(ident, version)`, of root's own: what is there came from the archive of the pin.

    + archive: URL of a .tar.gz with one directory; with `registry`, npm's URL, the name of its package there.
    + checksum: sha256 in hexadecimal, or npm's integrity (sha512- and base64).
    + below: path in `place(…)` to which that directory goes. program: path in it.
    + account, home: of the user as whom it must start.
    """
    there = place(ident, version)
    binary = "/".join(filter(None, (there, below, program)))
    if _installed(ident, binary, version, checksum):
        host.noop(f"{ident} {version} is installed")
        return
    new = f"{there}.new"
    yield " && ".join(
        [
            _begin(ident),
            # Nobody else reads what comes before it is proven: root may have been sent anywhere for it.
            f"umask 022 && rm -rf {new} && install -d -m 755 {TOOLS} && install -d -m 700 {new}",
            f"trap 'rm -rf {new}' EXIT",
            _listed(registry, archive, version) if registry else f"url={shlex.quote(archive)}",
            f'{_CURL} --max-filesize {_ARCHIVE_BYTES} -o {new}/archive "$url"',
            _proof(f"{new}/archive", checksum),
            f"mkdir -p {new}/tree/{below} && tar -xzf {new}/archive -C {new}/tree/{below} --strip-components=1"
            " --no-same-owner --no-same-permissions",
            f"rm {new}/archive && chmod 755 {new}",
            # As the user, with a home for the moment: mise keeps a cache where it is started.
            f"timeout {_PATIENCE} {run_as(account, home, _starts(f'{new}/tree/{below}/{program}'))}",
            f"rm -rf {there} && mv {new}/tree {there}",
            _record(ident, binary, version, checksum),
        ]
    )


def place(ident: str, version: str) -> str:
    """Return the directory of one version of a tool."""
    return f"{TOOLS}/{ident}-{version}"


@operation()
def node_of(account: str, home: str, version: str, archive: str, checksum: str, env: dict[str, str]) -> Commands:
    """Have Node `version` installed by mise for `account`, for npm to write to, with root's program in it.

    One that is there already gives way; packages that the user has installed into it with npm are kept.

    + archive: its URL, as of `tool`. checksum: its sha256. env: more environment for mise, such as a CA bundle.
    """
    ident = f"node of {account}"
    below = f"{home}/.local/share/mise/installs/node/{version}"
    program, target, recorded = f"{below}/bin/node", f"{place('node', version)}/bin/node", f"{version} {checksum}"
    want("tool", ident)
    now = host.get_fact(Tool, ident=ident, binary=program, target=target)
    there = now.entry.hash if now.entry else None
    if now.fingerprint and there == recorded:
        host.noop(f"node {version} of {account} is installed")
        return
    if not now.fingerprint:
        differs(ident, f"{program} is not root's", f"a link to {target}")
    else:
        differs(ident, there and "of another archive", f"{version} of the pinned archive")
    mirror = archive.rpartition("/v")[0]
    # mise takes the checksum from a lock file; one of our own keeps the user's mise.lock theirs.
    config = f'[tools]\nnode = "{version}"\n[settings]\nlockfile = true\n'
    lock = (
        f'lockfile_version = 2\n\n[[tools.node]]\nversion = "{version}"\nbackend = "core:node"\n'
        f'specifiers = ["{version}"]\n\n[tools.node.options]\nmirror_url = "{mirror}/"\n\n'
        f'[tools.node."platforms.linux-{archive.rsplit("-", 1)[1].split(".")[0]}"]\n'
        f'checksum = "sha256:{checksum}"\nurl = "{archive}"\n'
    )
    environment = {
        "MISE_CONFIG_DIR": "$d",
        "MISE_NODE_MIRROR_URL": f"{mirror}/",
        "MISE_USE_VERSIONS_HOST": "0",
        **env,
    }
    exports = " ".join(f'{key}="{value}"' for key, value in environment.items())
    kept = f"{home}/.local/share/signalbox/node-{version}.kept"
    script = (
        # Not over what an interrupted run has kept; what is new stays as it came.
        f"back() {{ [ ! -d {kept}/$1 ] || cp -a --update=none {kept}/$1/. {below}/$1/; }};"
        f" {{ [ ! -d {below} ] || [ -e {kept} ] || mv {below} {kept}; }}"
        f" && d=$(mktemp -d) && trap 'rm -rf $d' EXIT && printf %s {shlex.quote(config)} > $d/config.toml"
        f" && printf %s {shlex.quote(lock)} > $d/mise.lock"
        f" && {{ env {exports} mise uninstall --yes node@{version} >/dev/null 2>&1 || true; }}"
        f" && env {exports} mise install --yes --locked"
        f" && back lib/node_modules && back bin && rm -rf {kept}"
        # npm would work out its own place from the program's, which is root's.
        f" && echo 'prefix = {below}' > {below}/lib/node_modules/npm/npmrc"
        f" && ln -sfT {target} {program} && mise reshim && PATH={below}/bin:$PATH npm --version >/dev/null"
    )
    started = manifest.record(manifest.Entry("tool", ident, version))  # by which it is taken away
    done = manifest.record(manifest.Entry("tool", ident, recorded))
    yield f"{started} && timeout {_PATIENCE} {run_as(account, home, script)} && {done}"


def _installed(ident: str, binary: str, version: str, checksum: str) -> bool:
    now = host.get_fact(Tool, ident=ident, binary=binary)
    want("tool", ident)
    if now.entry and now.fingerprint and now.entry.hash == f"{version} {checksum} {now.fingerprint}":
        return True
    there, _, proven = now.entry.hash.partition(" ") if now.entry else ("of a version that the manifest lacks", "", "")
    if not now.fingerprint:
        differs(ident, None, version)
    elif there != version:
        differs(ident, there, version)
    elif proven.partition(" ")[0] != checksum:
        differs(ident, f"{version} of another archive", f"{version} of the pinned archive")
    else:
        differs(ident, f"{version}, but not as it was installed", version)
    return False


def _begin(ident: str) -> str:
    """Return shell that records the tool as not installed yet: an interrupted run leaves nothing that looks whole."""
    return manifest.record(manifest.Entry("tool", ident))


def _record(ident: str, binary: str, version: str, checksum: str) -> str:
    """Return shell that records the tool with its pin, and the size and change time of its binary as they are now."""
    # Hashing hundreds of megabytes on every run would cost a second. Nobody but root can change what lies there.
    return record_as("tool", ident, None, version, checksum, f"$(find {binary} -maxdepth 0 -printf '{FINGERPRINT}')")


def _listed(registry: str, package: str, version: str) -> str:
    """Return shell that sets $url to where a registry says that a package is."""
    listing = shlex.quote(f"{registry}/{package.replace('/', '%2f')}")
    ask = f"{_CURL} --max-filesize {_LISTING_BYTES} -H 'Accept: application/vnd.npm.install-v1+json' {listing}"
    words = " ".join(map(shlex.quote, (_ADDRESS, package, version, registry)))
    return f'listed=$({ask}) && url=$(printf %s "$listed" | python3 -I -c {words})'


def _proof(path: str, checksum: str) -> str:
    """Return shell that fails unless a file is that of the pin."""
    kind, digest = "sha256", checksum
    if checksum.startswith("sha512-"):
        kind, digest = "sha512", base64.b64decode(checksum.removeprefix("sha512-")).hex()
    said = f'echo "$url: what came is not what is pinned ({kind} {digest[:12]}…); look who changed it" >&2'
    return f"{{ echo '{digest}  {path}' | {kind}sum --check --status || {{ {said}; exit 1; }}; }}"


def _starts(binary: str) -> str:
    return f"t=$(mktemp -d) && trap 'rm -rf $t' EXIT && HOME=$t {binary} --version >/dev/null"

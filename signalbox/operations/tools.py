"""Pinned programs: fetched, proven and kept by root, where no user can write; a home has links to them."""

from __future__ import annotations

import base64

from pyinfra import host
from pyinfra.api import operation

from signalbox.engine.changes import differs, want
from signalbox.facts import FINGERPRINT, Tool
from signalbox.operations.commands import Commands
from signalbox.operations.proven import record_as
from signalbox.shell import Script, all_of, manifest, sh
from signalbox.shell.run_as import run_as

TOOLS = "/usr/local/lib/signalbox"
_PATIENCE = 600  # seconds: what a user's own files can hold up ends then
# ~/.netrc of root's, where a mirror wants a login. No time limit but one on standing still: lines differ.
_CURL = sh(
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
    tree = "/".join(filter(None, (f"{new}/tree", below)))
    yield all_of(
        _begin(ident),
        # Nobody else reads what comes before it is proven: root may have been sent anywhere for it.
        sh("umask 022 && rm -rf --one-file-system {}", new),
        sh("install -d -m 755 {} && install -d -m 700 {}", TOOLS, new),
        sh("trap {} EXIT", str(sh("rm -rf --one-file-system {}", new))),
        _listed(registry, archive, version) if registry else sh("url={}", archive),
        sh('{} --max-filesize {} -o {} "$url"', _CURL, _ARCHIVE_BYTES, f"{new}/archive"),
        _proof(f"{new}/archive", checksum),
        sh(
            "mkdir -p {tree} && tar -xzf {new}/archive -C {tree} --strip-components=1 --no-same-owner"
            " --no-same-permissions && rm {new}/archive && chmod 755 {new}",
            tree=tree,
            new=new,
        ),
        # As the user, with a home for the moment: mise keeps a cache where it is started.
        sh("timeout {} {}", _PATIENCE, run_as(account, home, _starts(f"{tree}/{program}"))),
        sh("rm -rf --one-file-system {there} && mv {} {there}", f"{new}/tree", there=there),
        _record(ident, binary, version, checksum),
    )


def place(ident: str, version: str) -> str:
    """Return the directory of one version of a tool."""
    return f"{TOOLS}/{ident}-{version}"


@operation()
def node_of(account: str, home: str, version: str, archive: str, checksum: str, env: dict[str, str]) -> Commands:
    """Have Node `version` installed by mise for `account`, for npm to write to, with root's program in it.

    It is fetched and proven beside one that is there already, which then gives way; packages that the user has
    installed into that with npm are in the new one, too.

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
    data = f"{home}/.local/share/signalbox/mise.new"
    environment = {"MISE_DATA_DIR": data, "MISE_NODE_MIRROR_URL": f"{mirror}/", "MISE_USE_VERSIONS_HOST": "0", **env}
    exports = sh('MISE_CONFIG_DIR="$d" {}', [sh("{}={}", key, value) for key, value in environment.items()])
    script = sh(
        # What is new stays as it came. A run that was killed between the two moves has left the old one as `kept`.
        "back() {{ [ ! -d $1/$2 ] || cp -a --update=none $1/$2/. {new}/$2/; }};"
        " {{ [ ! -d {kept} ] || [ -d {below} ] || mv -T {kept} {below}; }}"
        # Away from the home: there, mise takes ~/.config/mise/config.toml, a person's, for a project's.
        " && d=$(mktemp -d) && trap {clean} EXIT && rm -rf --one-file-system {data}"
        " && cd $d && export MISE_CEILING_PATHS=$d"
        " && printf %s {config} > $d/config.toml && printf %s {lock} > $d/mise.lock"
        " && env {exports} mise install --yes --locked"
        " && for old in {kept} {below}; do back $old lib/node_modules && back $old bin || exit 1; done"
        # npm would work out its own place from the program's, which is root's.
        " && echo {prefix} > {new}/lib/node_modules/npm/npmrc && ln -sfT {target} {new}/bin/node"
        " && PATH={new}/bin:$PATH npm --version >/dev/null && mkdir -p {installs} && rm -rf --one-file-system {kept}"
        " && {{ [ ! -d {below} ] || mv -T {below} {kept}; }}"
        " && {{ mv -T {new} {below} || {{ mv -T {kept} {below}; false; }}; }}"
        " && rm -rf --one-file-system {kept} && mise reshim",
        kept=f"{home}/.local/share/signalbox/node-{version}.kept",
        data=data,
        clean=str(sh("rm -rf --one-file-system $d {}", data)),
        new=f"{data}/installs/node/{version}",
        installs=below.rpartition("/")[0],
        below=below,
        config=config,
        lock=lock,
        exports=exports,
        version=version,
        prefix=f"prefix = {below}",
        target=target,
    )
    started = manifest.record(manifest.Entry("tool", ident, version))  # by which it is taken away
    done = manifest.record(manifest.Entry("tool", ident, recorded))
    yield all_of(started, sh("timeout {} {}", _PATIENCE, run_as(account, home, script)), done)


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


def _begin(ident: str) -> Script:
    """Return shell that records the tool as not installed yet: an interrupted run leaves nothing that looks whole."""
    return manifest.record(manifest.Entry("tool", ident))


def _record(ident: str, binary: str, version: str, checksum: str) -> Script:
    """Return shell that records the tool with its pin, and the size and change time of its binary as they are now."""
    # Hashing hundreds of megabytes on every run would cost a second. Nobody but root can change what lies there.
    now = sh('{}"$(find {} -maxdepth 0 -printf {})"', f"{version} {checksum} ", binary, FINGERPRINT)
    return record_as("tool", ident, None, now)


def _listed(registry: str, package: str, version: str) -> Script:
    """Return shell that sets $url to where a registry says that a package is."""
    return sh(
        "listed=$({curl} --max-filesize {size} -H {accept} {listing})"
        ' && url=$(printf %s "$listed" | python3 -I -c {address})',
        curl=_CURL,
        size=_LISTING_BYTES,
        accept="Accept: application/vnd.npm.install-v1+json",
        listing=f"{registry}/{package.replace('/', '%2f')}",
        address=(_ADDRESS, package, version, registry),
    )


def _proof(path: str, checksum: str) -> Script:
    """Return shell that fails unless a file is that of the pin."""
    kind, digest = "sha256", checksum
    if checksum.startswith("sha512-"):
        kind, digest = "sha512", base64.b64decode(checksum.removeprefix("sha512-")).hex()
    said = f": what came is not what is pinned ({kind} {digest[:12]}…); look who changed it"
    return sh(
        "{{ echo {line} | {program} --check --status || {{ printf '%s%s\\n' \"$url\" {said} >&2; exit 1; }}; }}",
        line=f"{digest}  {path}",
        program=f"{kind}sum",
        said=said,
    )


def _starts(binary: str) -> Script:
    return sh("t=$(mktemp -d) && trap 'rm -rf --one-file-system $t' EXIT && HOME=$t {} --version >/dev/null", binary)

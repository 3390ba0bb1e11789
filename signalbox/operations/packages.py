"""Debian packages: one transaction, and a record of which were not there before."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import operation

from signalbox.engine.changes import differs, replaceable, want
from signalbox.engine.outcome import warn
from signalbox.facts import Packages, Transaction, TransactionState
from signalbox.facts.sources import Sources, SourcesState
from signalbox.host.shared.output import shown
from signalbox.operations.commands import Commands
from signalbox.operations.files import file, prepare, sha256
from signalbox.operations.placed import manifest_now, placed
from signalbox.operations.proven import record_as
from signalbox.shell import Script, all_of, manifest, sh

# A run that was killed may have left apt running, or dpkg half way: wait for the one, finish the other.
_FINISH = sh(
    "timeout 600 sh -c 'until dpkg --configure -a; do sleep 2; done'"
    " && keeps --fix-broken install && apt-get -y -o DPkg::Lock::Timeout=600 --fix-broken install"
)
_INSTALL = sh(
    "DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=600"
    " -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold --no-install-recommends install"
)
# A source that is none of ours may be broken: what is wanted decides, and apt's words are told with what then fails.
_UPDATE = sh(
    "{{ apt-get -o DPkg::Lock::Timeout=600 -q update || echo 'apt-get update ended with an error; see above' >&2; }}"
)
# In this run dpkg is in order and apt's lists are new; unset by what tells apt of a further source.
_PREPARED = "signalbox_apt_prepared"
_WOULD = "signalbox_apt_would"  # what apt would do for all packages of the run, as preflight was told


@operation()
def packages(wanted: list[str]) -> Commands:
    """Have these Debian packages installed, whole, in one apt transaction.

    One unknown name aborts apt's whole transaction, so apt's own message then fails the operation.
    """
    status = host.get_fact(Packages)
    missing = [package for package in wanted if status.get(package) != "installed"]
    for package in wanted:
        want("package", package)
        differs(package, status.get(package, "not installed"), "installed")
    if not missing:
        host.noop("packages are installed")
        return
    keeps, replaced = _found(missing)
    records = [
        manifest.record(
            manifest.Entry("package", package, original=had if (had := status.get(package)) == "config-files" else None)
        )
        for package in missing
        if status.get(package, "config-files") in ("config-files", "not-installed")
    ]
    prepared = [] if host.connector_data.get(_PREPARED) else [_FINISH, _UPDATE]
    export = sh("export DEBIAN_FRONTEND=noninteractive")
    look = sh("keeps --no-install-recommends install {}", missing)
    yield all_of(export, keeps, *prepared, look, *replaced, *records, sh("{} {}", _INSTALL, missing))
    host.connector_data[_PREPARED] = True  # reached when that has been carried out, and only then


def refused(wanted: list[str]) -> list[str]:
    """Return what is wrong with installing these: that apt would remove what is not ours and nobody has given up."""
    status = host.get_fact(Packages)
    missing = [package for package in wanted if status.get(package) != "installed"]
    if not missing:
        return []
    would = host.connector_data[_WOULD] = _would(missing)
    kept = [name for name in would.removed if name not in _ours(would) and name not in replaceable()]
    if not kept:
        return []
    gone = ", ".join(f"{name} {would.removed[name]}" for name in kept)
    why = "putting apt's packages in order (see `apt-get check`)" if would.broken else f"installing {' '.join(missing)}"
    words = ", ".join(f'"{name}"' for name in [*replaceable(), *kept])
    return [
        f"{why} would remove {gone}, which Signalbox has not installed; if they may go, write replaces = [{words}];"
        " remove.py installs them again"
    ]


def sources(wanted: list[str], from_elsewhere: Sequence[str], replaced: bool) -> list[str]:
    """Return what is wrong with apt's sources where packages are missing; warn of those that nothing is wanted from.

    + from_elsewhere: packages of a source that a task will add. replaced: Debian's own sources will be written anew.
    """
    status = host.get_fact(Packages)
    missing = [package for package in wanted if status.get(package) != "installed" and package not in from_elsewhere]
    if not missing:
        return []
    # With a time limit it is not read ahead, like what apt would do.
    found: SourcesState = host.get_fact(Sources, packages=tuple(missing), _timeout=180)
    if found.unreadable:
        return [
            f"apt reads none of its sources: {shown(found.unreadable)}; take the one that is wrong out of"
            " /etc/apt/sources.list or /etc/apt/sources.list.d, until apt-get update ends without an error"
        ]
    unknown = [package for package in missing if found.known is not None and package not in found.known]
    wrong = [f"{shown(where)}: {shown(words)}" for where, words in found.broken.items()]
    if unknown and not replaced:
        more = f" ({'; '.join(wrong)})" if wrong else ""
        return [
            f"apt has no source of {' '.join(unknown)}{more}; Debian's own has them: write mirrors.debian, or mend"
            " /etc/apt/sources.list.d/debian.sources, until apt-get update ends without an error"
        ]
    for each in wrong:
        warn(f"apt cannot use a source of {each}; what is wanted comes from others; take that one out, or mend it")
    return []


def _would(missing: list[str]) -> TransactionState:
    # With a time limit it is not read ahead: apt takes seconds, in which other answers would grow old.
    return host.get_fact(Transaction, packages=tuple(missing), _timeout=150)


def _ours(would: TransactionState) -> set[str]:
    """Return the packages that Signalbox has installed, with those that go with them as they came."""
    ours = {entry.id for entry in manifest_now().entries if entry.kind == "package"}
    return ours | set(would.automatic if would.removed.keys() & ours else ())


def _found(missing: list[str]) -> tuple[Script, list[Script]]:
    """State what apt would do to packages that are there.

    Returns what defines `keeps`, and what records those that the settings give up.
    """
    would: TransactionState | None = host.connector_data.get(_WOULD)
    if would is None or not would.known or would.removed or would.changed:
        would = _would(missing)
    ours = [entry.id for entry in manifest_now().entries if entry.kind == "package"]
    given_up = [name for name in replaceable() if name in would.removed]
    mine = _ours(would)
    for name, version in would.removed.items():
        differs(name, version, None)
    for name, (version, new) in would.changed.items():
        if name not in missing:
            differs(name, version, new)
    # In its own place again when what it gave way to goes.
    records = [
        manifest.record(
            manifest.Entry(
                "replaced", name, would.removed[name] + (" auto" if name in would.automatic else ""), missing[0]
            )
        )
        for name in given_up
        if name not in mine
    ]
    if not ours:  # what lies in /etc now is none of theirs, though it may have a name that one of them will take away
        names = sh("{{ getent passwd && getent group; }} | cut -d : -f 1")
        look = sh("{{ find /etc -xdev -type f -o -xdev -type l; {}; }}", names)
        records.append(sh("{} && {{ [ -e {} ] || {} > {}; }}", manifest.MAKE, manifest.BEFORE, look, manifest.BEFORE))
    return _keeps([*ours, *replaceable()], ours), records


def _keeps(allowed: list[str], ours: list[str]) -> Script:
    """Return shell that defines `keeps WORDS…`: fails where `apt-get WORDS…` would remove other packages than these.

    It is asked when apt's lists are new and nothing is changed yet: what they say may be other than what was planned.
    """
    return sh(
        'keeps() {{ t=$(LC_ALL=C apt-get -s "$@" 2>&1) || {{ printf \'%s\\n\' "$t" >&2; return 1; }};'
        " t=$(printf '%s\\n' \"$t\" | sed -n 's/^Remv \\([^ :]*\\).*/\\1/p');"
        " gone=$(printf '%s\\n' \"$t\" | grep -vxF -e '' {allowed} || [ $? = 1 ]) || return;"
        " if printf '%s\\n' \"$t\" | grep -qxF -e ' ' {ours}; then auto=$(apt-mark showauto) || return;"
        ' gone=$(printf \'%s\\n\' "$gone" | grep -vxF -e "$auto" || [ $? = 1 ]) || return; fi;'
        ' [ -z "$gone" ] || {{ gone=$(echo $gone);'
        ' echo "apt-get $* would remove $gone; if they may go, write them in replaces" >&2; return 1; }}; }}',
        allowed=[word for name in allowed for word in ("-e", name)],
        ours=[word for name in ours for word in ("-e", name)],
    )


@operation()
def debian_sources(content: str) -> Commands:
    """Have apt know Debian's archives by this deb822 text; it reads them anew before the next packages."""
    host.connector_data.pop(_PREPARED, None)
    yield from file._inner(path="/etc/apt/sources.list.d/debian.sources", content=content)


DOCKER_KEY = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"  # https://docs.docker.com/engine/install/debian/
_KEYRING = "/etc/apt/keyrings/docker.asc"
_KEY_BYTES = 1 << 20  # more is no key


@operation()
def docker_repository(url: str, fingerprint: str = DOCKER_KEY) -> Commands:
    """Have apt know Docker's own repository at `url`, with its signing key: the one of the pinned fingerprint alone.

    It needs gpg. A keyring that is there already counts if it is as root once proved and placed it.
    """
    sources = "/etc/apt/sources.list.d/docker.sources"
    suite = (
        f"# Signed by {fingerprint}\nTypes: deb\nURIs: {url}\nSuites: trixie\nComponents: stable\n"
        f"Signed-By: {_KEYRING}\n"
    )
    now = placed(_KEYRING, "file")
    want("file", _KEYRING)
    want("file", sources)
    # That the sources, placed after it, name the same key says which one was proven.
    same = placed(sources, "file").sha256 == sha256(suite)
    proven = same and now.entry is not None and now.sha256 is not None and now.entry.hash == now.sha256
    if not (proven and (now.type, now.mode, now.user, now.group) == ("file", "644", "root", "root")):
        differs(_KEYRING, now.type and f"a {now.type} that nobody has proven", f"the key {fingerprint} alone")
        original = now.entry.original if now.entry else now.type and manifest.original_path("file", _KEYRING)
        gpg = sh(
            "gpg --batch --quiet --no-options --no-autostart --homedir $d --no-default-keyring --keyring $d/keyring"
        )
        primary = sh("awk -F: {}", '$1 == "pub" {first = 1} $1 == "fpr" && first {print $10; first = 0}')
        yield all_of(
            sh("d=$(mktemp -d) && trap 'rm -rf --one-file-system $d' EXIT"),
            sh("curl -fsSL --max-filesize {} -o $d/key {}", _KEY_BYTES, f"{url}/gpg"),
            sh("{{ {} --import $d/key || true; }}", gpg),
            sh("found=$({} --list-keys --with-colons | {} | xargs)", gpg, primary),
            sh(
                "{{ [ \"$found\" = {} ] || {{ printf '%s holds the keys %s and not %s alone; look who changed it\\n'"
                ' {} "${{found:-(none)}}" {} >&2; exit 1; }}; }}',
                fingerprint,
                f"{url}/gpg",
                fingerprint,
            ),
            # Not as it came: apt reads it by another program, which may see more in it than gpg does.
            sh("{} --armor --export {} > $d/alone", gpg, fingerprint),
            prepare("file", _KEYRING, now, ""),
            sh("install -d -m 755 {} && install -m 644 $d/alone {}", _KEYRING.rpartition("/")[0], _KEYRING),
            record_as("file", _KEYRING, original, sh('"$(sha256sum < {} | cut -c -64)"', _KEYRING)),
        )
    host.connector_data.pop(_PREPARED, None)
    yield from file._inner(path=sources, content=suite)

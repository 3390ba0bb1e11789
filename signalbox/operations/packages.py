"""Debian packages: one transaction, and a record of which were not there before."""

from __future__ import annotations

import shlex

from pyinfra import host
from pyinfra.api import operation

from signalbox import manifest
from signalbox.facts import Packages, Placed
from signalbox.operations.commands import Commands
from signalbox.operations.files import file
from signalbox.statements import differs, want

# A run that was killed may have left apt running, or dpkg half way: wait for the one, finish the other.
_FINISH = (
    "timeout 600 sh -c 'until dpkg --configure -a; do sleep 2; done'"
    " && apt-get -y -o DPkg::Lock::Timeout=600 --fix-broken install"
)
_INSTALL = (
    "DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=600"
    " -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold --no-install-recommends install"
)
# In this run dpkg is in order and apt's lists are new; unset by what tells apt of a further source.
_PREPARED = "signalbox_apt_prepared"


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
    records = [
        manifest.record(manifest.Entry("package", package))
        for package in missing
        if status.get(package, "config-files") in ("config-files", "not-installed")
    ]
    names = " ".join(map(shlex.quote, missing))
    prepared = [] if host.connector_data.get(_PREPARED) else [_FINISH, "apt-get -o DPkg::Lock::Timeout=600 -q update"]
    yield " && ".join(["export DEBIAN_FRONTEND=noninteractive", *records, *prepared, f"{_INSTALL} {names}"])
    host.connector_data[_PREPARED] = True  # reached when that has been carried out, and only then


@operation()
def debian_sources(content: str) -> Commands:
    """Have apt know Debian's archives by this deb822 text; it reads them anew before the next packages."""
    host.connector_data.pop(_PREPARED, None)
    yield from file._inner(path="/etc/apt/sources.list.d/debian.sources", content=content)


DOCKER_KEY = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"  # https://docs.docker.com/engine/install/debian/
_KEYRING = "/etc/apt/keyrings/docker.asc"


@operation()
def docker_repository(url: str) -> Commands:
    """Have apt know Docker's own repository at `url`, with its signing key only if it has the pinned fingerprint."""
    sources = "/etc/apt/sources.list.d/docker.sources"
    suite = f"Types: deb\nURIs: {url}\nSuites: trixie\nComponents: stable\nSigned-By: {_KEYRING}\n"
    key = host.get_fact(Placed, path=_KEYRING, kind="file")
    want("file", _KEYRING)
    want("file", sources)
    if key.type is None:
        differs(_KEYRING, None, "Docker's signing key")
        fingerprint = "gpg --show-keys --with-colons $k | awk -F: '$1==\"fpr\" {print $10; exit}'"
        yield (
            f"{_INSTALL} gnupg && k=$(mktemp) && curl -fsSL -o $k {shlex.quote(url)}/gpg"
            f' && {{ [ "$({fingerprint})" = {DOCKER_KEY} ]'
            f" || {{ echo 'the key at {url}/gpg is not {DOCKER_KEY}' >&2; exit 1; }}; }}"
            f" && {manifest.record(manifest.Entry('file', _KEYRING))}"
            f" && install -D -m 644 $k {_KEYRING} && rm $k"
        )
    host.connector_data.pop(_PREPARED, None)
    yield from file._inner(path=sources, content=suite)

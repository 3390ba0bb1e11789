"""The base tree that every host's overlay stands on: Debian 13, built once, cached by its recipe.

It holds nothing that makes a host itself (machine-id, SSH host keys, credential secret, random seed).
"""

from __future__ import annotations

import hashlib
import inspect
import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from tests.lab.instance import cache_directory, locked
from tests.lab.machine import LabError, sh, step

SUITE = "trixie"
PACKAGES = (
    "systemd-sysv,dbus,libpam-systemd,openssh-server,sudo,iproute2,iputils-ping,ifupdown,ca-certificates,curl,python3"
)
CA_FILES = Path("/usr/local/share/ca-certificates")
# What of the machine's apt configuration a host needs to reach the same mirror in the same way.
ACQUIRE = re.compile(r"^Acquire::(Check-|Max-|Retries|Force|Languages|(https?|ftp)::(?!Proxy-Auto|ProxyAuto)).*\";$")
IDENTITY = (
    "etc/ssh/ssh_host_*",
    "etc/machine-id",
    "etc/hostname",
    "etc/hosts",
    "etc/resolv.conf",
    "var/lib/dbus/machine-id",
    "var/lib/systemd/credential.secret",
    "var/lib/systemd/random-seed",
)


def apt_sources() -> str | None:
    """Return deb822 sources of Debian 13 at the machine's own mirrors; None when it is no Debian machine."""
    release = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.M)
    if not release:
        return None
    stanzas = []
    for uri, suite in re.findall(r"^'(\S+)/dists/(\S+)/InRelease'", sh("apt-get", "update", "--print-uris"), re.M):
        name, _, pocket = suite.partition("-")
        if name != release[1] or pocket not in ("", "updates", "security"):
            continue
        mirror = uri
        if uri.startswith("mirror+file:"):  # as cloud images have it: a file on this machine lists the mirrors
            mirror = Path(re.sub("^mirror[+]file:/*", "/", uri)).read_text().split()[0].rstrip("/")
        stanzas.append(
            f"Types: deb\nURIs: {mirror}\nSuites: {SUITE}{'-' + pocket if pocket else ''}\nComponents: main\n"
            "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
        )
    return "\n".join(stanzas) or None


def apt_options() -> str:
    """Return the machine's own settings for fetching (validity checks, proxies, retries), in apt's syntax."""
    lines = sh("apt-config", "dump", "Acquire").splitlines()
    return "".join(f"{line}\n" for line in lines if ACQUIRE.match(line) and not line.endswith(' "";'))


def ca_files() -> list[Path]:
    """Return the certificate authorities that this machine trusts beside Debian's."""
    return sorted(CA_FILES.glob("**/*.crt"))


def tree(*, bare_ca: bool = False) -> Path:
    """Return the base tree, built if it is not cached; `bare_ca` leaves the machine's own authorities out."""
    sources, options = apt_sources(), apt_options()
    authorities = [] if bare_ca else ca_files()
    recipe = hashlib.sha256()
    for part in (
        inspect.getsource(_build),
        PACKAGES,
        *IDENTITY,
        sources or "",
        options,
        *map(Path.read_text, authorities),
    ):
        recipe.update(part.encode() + b"\0")
    path = cache_directory() / f"base-{SUITE}-{recipe.hexdigest()[:12]}"
    if not path.is_dir():
        with locked(path.name):
            if not path.is_dir():
                with step("building the base tree of Debian 13, once"):
                    _build(path, sources, options, authorities)
    return path


def owned(plain: Path, first: int) -> Path:
    """Return the tree for hosts with ids of their own, which begin at `first`: a copy, made once, with those owners."""
    path = plain.with_name(f"{plain.name}-from-{first}")
    with locked(path.name):
        if not path.is_dir():
            with step("giving a copy of the base tree its own ids, once"):
                building = path.with_name(f"building-{path.name}")
                shutil.rmtree(building, ignore_errors=True)
                sh("cp", "--archive", str(plain), str(building))
                give(building, first)
                building.rename(path)
    return path


def give(top: Path, first: int) -> None:
    """Have all below, and `top`, belong to the same users of a host whose ids begin at `first`."""
    for directory, names, files in os.walk(top):
        for name in (*names, *files, "."):
            place = os.path.normpath(os.path.join(directory, name))
            found = os.lstat(place)
            if found.st_uid >= first:
                continue
            os.lchown(place, found.st_uid + first, found.st_gid + first)
            if not stat.S_ISLNK(found.st_mode):  # a new owner takes setuid away
                os.chmod(place, stat.S_IMODE(found.st_mode))


def _build(path: Path, sources: str | None, options: str, authorities: list[Path]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="building-") as temporary:
        root, work = Path(temporary, "root"), Path(temporary)
        # Files, not arguments: a proxy's address may hold a password.
        (work / "apt.conf").write_text(options)
        (work / "debian.sources").write_text(sources or "")
        command = ["mmdebstrap", "--mode=root", "--variant=important", f"--include={PACKAGES}"]
        command += [f"--aptopt={work / 'apt.conf'}"] if options else []
        command += [SUITE, str(root)] + ([str(work / "debian.sources")] if sources else [])
        with (work / "log").open("w") as log:
            failed = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
        if failed:
            tail = "\n".join((work / "log").read_text().splitlines()[-8:])
            raise LabError(f"mmdebstrap failed; is the Debian mirror reachable from here? It said:\n{tail}")
        for written in root.glob("etc/apt/sources.list.d/*debian.sources"):
            written.rename(written.with_name("debian.sources"))
        for authority in authorities:
            shutil.copy(authority, root / str(CA_FILES / authority.name).lstrip("/"))
        (root / "etc/default/locale").write_text("LANG=C.UTF-8\n")  # as Debian's own images have it
        sh("chroot", str(root), "update-ca-certificates")
        for pattern in IDENTITY:
            for found in root.glob(pattern):
                found.unlink()
        root.chmod(0o755)
        root.rename(path)

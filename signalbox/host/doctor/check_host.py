"""Checks of the host itself: packages, clock, disk, and everything that the deploy placed."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import stat
from collections.abc import Iterator
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ..shared import within
from .check import Finding, check
from .host_context import AGENT, KEEPER, ROOT, Here, run

MANIFEST = Path("/var/lib/signalbox/manifest")
ROOT_DOCKER = ("docker.service", "docker.socket", "containerd.service")
MANY = 65536  # subordinate ids that a rootless engine needs
LARGE = 64 << 20  # bytes; what is placed as a file is smaller


@check(AGENT)
def disk(here: Here) -> Iterator[Finding]:
    """Every file system that the host works on has space"""
    wanted, seen = here.expected["limits"]["min_free_mib"], set()
    for path in ("/", str(here.home), "/var", "/tmp"):  # noqa: S108 (Claude Code works there)
        try:
            status, device = os.statvfs(path), os.stat(path).st_dev
        except OSError:
            continue
        free = status.f_bavail * status.f_frsize >> 20
        # One that is small from the start, such as a memory-backed /tmp, is full when a tenth is left.
        enough = min(wanted, (status.f_blocks * status.f_frsize >> 20) // 10)
        if device not in seen and free <= enough:
            yield Finding("disk-full", f"{free} MiB are free on {path}", subjects=(path,))
        seen.add(device)


@check(AGENT)
def clock(_: Here) -> Iterator[Finding]:
    """The clock is synchronised"""
    status, said = run("timedatectl", "show", "--property=NTPSynchronized", "--value")
    in_container = run("systemd-detect-virt", "--container", "--quiet")[0] == 0  # the clock is the machine's below
    if status == 0 and said == "no" and not in_container:
        yield Finding("clock", "systemd says that the clock is not synchronised")


@check(AGENT)
def reboot(_: Here) -> Iterator[Finding]:
    """No update waits for a reboot"""
    if Path("/run/reboot-required").exists():
        packages = Path("/run/reboot-required.pkgs")
        names = " ".join(sorted(set(packages.read_text().split()))) if packages.exists() else "a package"
        yield Finding("reboot-pending", f"{names} asks for it")


@check(AGENT)
def root_docker(here: Here) -> Iterator[Finding]:
    """Root's own Docker is off"""
    if not here.expected["docker"]["users"]:
        return
    states = run("systemctl", "is-enabled", *ROOT_DOCKER)[1].splitlines()[-len(ROOT_DOCKER) :]
    loose = [unit for unit, state in zip_longest(ROOT_DOCKER, states) if state != "masked"]
    if loose:
        yield Finding("root-docker", f"{', '.join(loose)} is not masked", f"/etc/systemd/system/{loose[0]}")


@check(AGENT)
def packages(here: Here) -> Iterator[Finding]:
    """Every package that the settings ask for is installed"""
    wanted = here.expected["packages"]
    _, told = run("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted)
    now = dict(line.split(" ", 1) for line in told.splitlines() if line.count(" ") == 1)
    missing = [name for name in wanted if now.get(name, "not-installed") in ("not-installed", "config-files")]
    half = sorted(name for name, state in now.items() if state not in ("installed", "not-installed", "config-files"))
    if half:
        yield Finding("apt-interrupted", f"{', '.join(half)} is {now[half[0]]}", subjects=tuple(half))
    elif missing:
        yield Finding("packages-missing", f"not installed: {', '.join(missing)}", subjects=tuple(missing))


@check(ROOT)
def root_path(_: Here) -> Iterator[Finding]:
    """Root's login shell finds the administrator's programs"""
    path = run("bash", "-lc", 'printf %s "$PATH"', bare=True)[1]
    if "/usr/sbin" not in path.split(":") and "/sbin" not in path.split(":"):
        yield Finding("sbin-path", f"PATH of root's login shell is {path.splitlines()[-1] if path else 'empty'}")


@check(AGENT)
def users(here: Here) -> Iterator[Finding]:
    """The users are there"""
    for user in here.expected["users"]:
        try:
            pwd.getpwnam(user)
        except KeyError:
            yield Finding("user-missing", f"there is no user {user}", subjects=(user,))


@check(AGENT, needs=("users",))
def linger(here: Here) -> Iterator[Finding]:
    """The users' services run without a login"""
    for user in here.expected["users"] if here.expected["linger"] else ():
        if not Path("/var/lib/systemd/linger", user).exists():
            yield Finding("linger-off", f"{user} does not linger", data={"user": user}, subjects=(user,))


@check(AGENT, needs=("users",))
def subordinate_ids(here: Here) -> Iterator[Finding]:
    """The users of rootless Docker have subordinate ids"""
    for user in here.expected["docker"]["users"]:
        for kind in ("subuid", "subgid"):
            count = _subordinate_ids(Path("/etc", kind), user)
            if count < MANY:
                yield Finding("subordinate-ids", f"{user} has {count} ids in /etc/{kind}", subjects=(user, kind))


def _subordinate_ids(path: Path, user: str) -> int:
    lines = [line.split(":") for line in path.read_text().splitlines()] if path.exists() else []
    return sum(int(parts[2]) for parts in lines if len(parts) == 3 and parts[0] == user and parts[2].isdigit())


@check(ROOT, needs=("users",))
def placed(here: Here) -> Iterator[Finding]:
    """What the deploy placed is there and as it placed it"""
    homes = [home for user in (here.expected["user"], here.expected["gateway"]["user"]) if (home := home_of(user))]
    for entry in sorted(MANIFEST.glob("*-????????")):
        try:
            thing = json.loads(entry.read_text())
            look = _LOOKS.get(thing["kind"])
        except (OSError, ValueError, KeyError):
            yield Finding("placed-changed", f"{entry} is no entry of the manifest", str(entry))
            continue
        # What lies in a home its owner may exchange at any time: `placed_at_home` looks at it as that user.
        if look and not any(_below(home, thing["id"]) for home in homes):
            yield from look(thing["id"], thing.get("hash") or "")


@check(AGENT, KEEPER, needs=("users",))
def placed_at_home(here: Here) -> Iterator[Finding]:
    """What the deploy placed in the user's home is there and as it placed it"""
    for kind, path, digest in here.placed:
        yield from _LOOKS[kind](path, digest)


def placed_below(home: str) -> tuple[tuple[str, str, str], ...]:
    """Return kind, path and hash of what the manifest names below a home; only root can read it."""
    found = []
    for entry in sorted(MANIFEST.glob("*-????????")):
        try:
            thing = json.loads(entry.read_text())
            told = thing["kind"], thing["id"], thing.get("hash") or ""
        except (OSError, ValueError, KeyError):  # `placed` tells that
            continue
        if told[0] in _LOOKS and _below(home, told[1]):
            found.append(told)
    return tuple(found)


def home_of(user: str) -> str | None:
    """Return the home of a user; None where there is no such user."""
    try:
        return pwd.getpwnam(user).pw_dir
    except KeyError:
        return None


def _below(home: str, path: str) -> bool:
    return home != "/" and Path(path).is_relative_to(home)


def _file(path: str, digest: str) -> Iterator[Finding]:
    status = _status(path)
    if status is None:
        yield Finding("placed-missing", f"{path} is gone", path)
    elif not stat.S_ISREG(status.st_mode):
        yield Finding("placed-changed", f"{path} is no file any more", path)
    elif digest and digest_of(path) != digest:
        yield Finding("placed-changed", f"{path} has other content", path)
    else:
        yield from _open(path, status)


def _link(path: str, target: str) -> Iterator[Finding]:
    if not os.path.lexists(path):
        yield Finding("placed-missing", f"{path} is gone", path)
    elif not os.path.islink(path) or os.readlink(path) != target:
        yield Finding("placed-changed", f"{path} does not lead to {target}", path)


def _line(path: str, line: str) -> Iterator[Finding]:
    try:
        with within.opened(path) as file:
            first = file.readline(4096).decode(errors="replace").rstrip("\n")
    except OSError as error:
        symptom, words = ("placed-missing", "gone") if error.errno else ("placed-changed", "no file any more")
        yield Finding(symptom, f"{path} is {words}", path)
        return
    if first != line:
        yield Finding("placed-changed", f"{path} does not begin with the line that loads our environment", path)


def _directory(path: str, _: str) -> Iterator[Finding]:
    status = _status(path)
    if status is None or not stat.S_ISDIR(status.st_mode):
        yield Finding("placed-missing", f"{path} is gone", path)
    else:
        yield from _open(path, status)


def _open(path: str, status: os.stat_result) -> Iterator[Finding]:
    """Tell what everybody may write, and what lies outside of homes and is not root's."""
    # A group may be meant to write, as with the gateway's audit log; everybody never is.
    mode = stat.S_IMODE(status.st_mode)
    system = path.startswith(("/etc/", "/usr/"))
    owner = _name(status.st_uid)
    if mode & 0o002 or (system and mode & 0o020):
        yield Finding("placed-open", f"{path} has the mode {mode:o}", path)
    elif system and owner != "root":
        yield Finding("placed-open", f"{path} belongs to {owner}", path)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def changed(path: str) -> bool:
    """Tell whether a file is not what the deploy placed there; only root can."""
    placed = _files().get(path)
    return bool(placed) and digest_of(path) != placed


@cache
def _files() -> dict[str, str]:
    """Return the files of the manifest with their hashes."""
    found = {}
    for entry in MANIFEST.glob("file-*"):
        try:
            thing = json.loads(entry.read_text())
            found[thing["id"]] = thing.get("hash") or ""
        except (OSError, ValueError, KeyError):  # `placed` tells that
            continue
    return found


def digest_of(path: str) -> str:
    """Return the sha256 of a file as hexadecimal digits, "" where it cannot be read."""
    try:
        with within.opened(path) as file:
            return hashlib.sha256(file.read(LARGE)).hexdigest()
    except OSError:
        return ""


_LOOKS: dict[str, Any] = {"file": _file, "link": _link, "line": _line, "directory": _directory}

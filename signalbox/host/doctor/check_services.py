"""Checks of the users' services: their systemd managers, rootless Docker, the gateway and its keys."""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from ..shared import within
from .check import Finding, check
from .host_context import AGENT, KEEPER, Here, key_in, read, run
from .symptoms import explain, symptoms

DAY = 86400
# Without one of these Docker is down, and that is why.
ENGINE = (
    "docker.io", "docker-cli", "rootlesskit", "docker-ce", "docker-ce-cli", "docker-ce-rootless-extras",
    "containerd.io", "uidmap", "slirp4netns", "iptables", "dbus-user-session",
)  # fmt: skip
# What a gateway that does not start says of itself: the only symptoms that its journal may name.
OF_THE_JOURNAL = ("empty-gateway-key", "gateway-config", "gateway-image", "port-taken", "secret-broken")


@check(AGENT, KEEPER, needs=("users", "linger"))
def bus(here: Here) -> Iterator[Finding]:
    """The user's systemd manager answers"""
    place = Path(f"/run/user/{os.geteuid()}/bus")
    if not place.is_socket():
        yield Finding("no-user-bus", f"{place} is not there", data={"user": here.user})
        return
    status, said = run("systemctl", "--user", "show-environment", timeout=5)
    if status:
        yield Finding("no-user-bus", f"the manager of {here.user} says: {said[:200]}", data={"user": here.user})


@check(AGENT)
def this_shell(here: Here) -> Iterator[Finding]:
    """The shell that this was called from came by a login"""
    if here.asked_from is not None and not here.asked_from.get("XDG_RUNTIME_DIR"):
        yield Finding("su-shell", "XDG_RUNTIME_DIR is not set in this shell")


@check(AGENT, KEEPER, needs=("bus", "subordinate-ids", "users", *(f"packages:{name}" for name in ENGINE)))
def docker(here: Here) -> Iterator[Finding]:
    """Rootless Docker runs, starts at boot, and runs what is on disk"""
    if here.user not in here.expected["docker"]["users"]:
        return
    unit = _unit("docker.service")
    about = {"unit": "docker.service"}
    file = here.home / ".config/systemd/user/docker.service"
    if not file.exists():
        yield Finding("placed-missing", f"{file} is gone", str(file))
        return
    if unit.get("ActiveState") == "activating":
        unit = _settled("docker.service")
    if unit.get("ActiveState") != "active":
        yield Finding("docker-down", f"docker.service of {here.user} is {_state(unit)}", data=_helped(unit, about))
        return
    status, said = engine("/version")
    if status != 200:
        yield Finding("docker-down", f"docker of {here.user} says: {said[:200]}", data=about)
    elif unit.get("UnitFileState") != "enabled":
        yield Finding("docker-disabled", f"docker.service of {here.user} is {unit.get('UnitFileState')}", data=about)
    else:
        yield from _stale("docker-stale", here.user, "docker.service")


@check(KEEPER, needs=("docker", "keys"))
def gateway(here: Here) -> Iterator[Finding]:
    """The gateway runs, starts at boot, and runs what is on disk"""
    wanted = here.expected["gateway"]
    if not wanted["enabled"]:
        return
    unit = _unit("litellm.service")
    about = {"unit": "litellm.service"}
    file = here.home / ".config/systemd/user/litellm.service"
    if not file.exists():
        yield Finding("placed-missing", f"{file} is gone", str(file))
        return
    if unit.get("ActiveState") == "activating" and unit.get("NRestarts") == "0":
        unit = _settled("litellm.service")
    if engine(f"/images/{wanted['image']}/json")[0] == 404:
        yield Finding("gateway-image", f"{wanted['image']} is not there")
    elif unit.get("ActiveState") != "active":
        yield _why_down(unit, wanted, about)
    elif unit.get("UnitFileState") != "enabled":
        yield Finding("gateway-disabled", f"litellm.service is {unit.get('UnitFileState')}", data=about)
    else:
        for stale in _stale("gateway-stale", here.user, "litellm.service"):
            why = _refused()  # an earlier refusal means nothing once it runs what is on disk
            named = why and _named(why, "of what is on disk the gateway says")
            refused = named or (Finding("gateway-refused", why[-1][:200]) if why else stale)
            yield replace(refused, path=stale.path)


def _refused() -> list[str]:
    """Return why the gateway did not take what it was given last."""
    return (read(Path(f"/run/user/{os.geteuid()}/litellm.service.refused")) or "").splitlines()


def _named(said: list[str], who: str) -> Finding | None:
    """Return the symptom that the last line with a known cause belongs to."""
    among = {name: symptom for name, symptom in symptoms().items() if name in OF_THE_JOURNAL}
    for line in reversed(said):
        for symptom in explain(line, among):
            return Finding(symptom.id, f"{who}: {line.strip()[:200]}")
    return None


def _why_down(unit: dict[str, str], wanted: dict[str, Any], about: dict[str, Any]) -> Finding:
    started = unit.get("ActiveState") in ("failed", "activating") or unit.get("Result") not in ("success", "")
    if started:
        _, journal = run("journalctl", "--user", "-u", "litellm", "-n", "60", "--no-pager", "-o", "cat")
        if named := _named(journal.splitlines(), "the gateway says"):
            return replace(named, path=wanted["config"]) if named.symptom == "gateway-config" else named
    if listeners(wanted["port"]):
        return Finding("port-taken", f"something else listens on port {wanted['port']}")
    return Finding("gateway-down", f"litellm.service is {_state(unit)}", data=_helped(unit, about))


def _helped(unit: dict[str, str], about: dict[str, Any]) -> dict[str, Any]:
    """Return what --fix needs to start a unit; {} for one that fails by itself, as systemd has tried that already."""
    return about if unit.get("ActiveState") == "inactive" else {}


@check(AGENT, needs=("bus",))
def timer(here: Here) -> Iterator[Finding]:
    """The timer that reports changes runs, and will at the next boot"""
    if here.expected["report"]["timer"]:
        unit = _unit("claude-doctor.timer")
        if unit.get("ActiveState") != "active" or unit.get("UnitFileState") != "enabled":
            words = f"claude-doctor.timer is {unit.get('ActiveState')} and {unit.get('UnitFileState') or 'not there'}"
            yield Finding("timer-off", words, data={"unit": "claude-doctor.timer"})


@check(KEEPER, needs=("gateway",))
def gateway_port(here: Here) -> Iterator[Finding]:
    """The gateway listens on the loopback alone"""
    port = here.expected["gateway"]["port"]
    wide = [address for address in listeners(port) if address not in ("127.0.0.1", "::1")]
    if wide and here.expected["gateway"]["enabled"]:
        program = here.home / ".config/signalbox/gateway/supervisor/supervisor.py"
        yield Finding("gateway-open", f"port {port} is open on {', '.join(wide)}", str(program))


@check(AGENT, KEEPER, needs=("users",))
def keys(here: Here) -> Iterator[Finding]:
    """Every key is where it is used, and can be read there"""
    for path in map(Path, here.expected["keys"].get(here.user, ())):
        try:
            status = path.stat()
            if not os.access(path, os.R_OK):  # before it is taken for one that does not decrypt
                mine = {"mode": 0o600} if status.st_uid == os.geteuid() else {}
                seen = f"{here.user} may not read {path}, of the mode {stat.S_IMODE(status.st_mode):03o}"
                yield Finding("secret-unreadable", seen, str(path), mine)
                continue
            key = key_in(str(path))
        except PermissionError:
            yield Finding("secret-unreadable", f"{here.user} may not look into {path.parent}", str(path))
            continue
        except FileNotFoundError:
            yield Finding("secret-missing", f"{path} is not there", str(path))
            continue
        except OSError as error:
            symptom = "empty-gateway-key" if not path.stat().st_size else "secret-broken"
            yield Finding(symptom, f"{path}: {error.strerror}", str(path))
            continue
        if not key:
            yield Finding("empty-gateway-key", f"{path} is empty", str(path))


@check(AGENT, KEEPER, needs=("keys", "users"))
def key_files(here: Here) -> Iterator[Finding]:
    """Every key is for its user alone, and not too old"""
    oldest = here.expected["limits"]["max_key_days"]
    for path in map(Path, here.expected["private"].get(here.user, ())):
        if path.is_dir() and path.stat().st_mode & 0o077:
            mode = stat.S_IMODE(path.stat().st_mode)
            yield Finding("secret-open", f"{path} has the mode {mode:o}", str(path), {"mode": 0o700})
    for path in map(Path, here.expected["keys"].get(here.user, ())):
        if not path.exists():  # `keys` tells that
            continue
        status = path.stat()
        mode, days = stat.S_IMODE(status.st_mode), int((time.time() - status.st_mtime) / DAY)
        if mode & 0o077:
            yield Finding("secret-open", f"{path} has the mode {mode:o}", str(path), {"mode": 0o600})
        if oldest and days > oldest:
            yield Finding("key-old", f"{path} was written {days} days ago", str(path))


def engine(path: str) -> tuple[int, str]:
    """Ask this user's Docker by its socket; return the HTTP status (0: no answer) and the words."""
    connection = HTTPConnection("docker", timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(10)
    try:
        connection.sock.connect(f"/run/user/{os.geteuid()}/docker.sock")
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(1 << 20).decode(errors="replace")
    except (OSError, HTTPException) as error:
        return 0, str(error) or type(error).__name__
    finally:
        connection.close()


def listeners(port: int) -> list[str]:
    """Return the addresses on which something listens on this TCP port."""
    found = set()
    for name, size in (("tcp", 4), ("tcp6", 16)):
        table = Path("/proc/net", name)
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            local, state = line.split()[1], line.split()[3]
            address, _, hexadecimal = local.partition(":")
            if state == "0A" and int(hexadecimal, 16) == port:
                found.add(_address(bytes.fromhex(address), size))
    return sorted(found)


def _address(raw: bytes, size: int) -> str:
    words = b"".join(raw[start : start + 4][::-1] for start in range(0, size, 4))  # the kernel's words are its own
    return socket.inet_ntop(socket.AF_INET if size == 4 else socket.AF_INET6, words)


def _unit(name: str) -> dict[str, str]:
    properties = "ActiveState,SubState,UnitFileState,LoadState,Result,NRestarts"
    _, told = run("systemctl", "--user", "show", name, f"--property={properties}", timeout=5)
    return dict(line.split("=", 1) for line in told.splitlines() if "=" in line)


def _settled(name: str) -> dict[str, str]:
    """Wait a little for a unit that is just starting."""
    for _ in range(20):
        unit = _unit(name)
        if unit.get("ActiveState") != "activating" or unit.get("NRestarts") != "0":
            break
        time.sleep(0.5)
    return unit


def _state(unit: dict[str, str]) -> str:
    if unit.get("LoadState") not in ("loaded", None):
        return str(unit["LoadState"])
    return f"{unit.get('ActiveState', 'unknown')} ({unit.get('Result', '')})"


def _stale(symptom: str, user: str, unit: str) -> Iterator[Finding]:
    """Tell when what the unit noted at its start is no longer what is on disk."""
    noted = Path(f"/run/user/{os.geteuid()}/{unit}.inputs")
    for line in (read(noted) or "").splitlines():
        digest, _, path = line.partition("  ")
        try:
            now = _digest(Path(path))
        except OSError:
            now = ""
        if now and now != digest:
            yield Finding(symptom, f"{unit} of {user} started with another {path}", path)


def _digest(path: Path) -> str:
    """What units note of their inputs: of a plain secret no hash, from which it could be guessed."""
    if path.suffix == ".key":
        status = path.stat()
        return f"{status.st_ino}-{int(status.st_ctime)}"
    return sha256(within.bytes_of(path)).hexdigest()

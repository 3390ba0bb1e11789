"""One lab: its name, its addresses, where its state lives, and the locks that let commands run side by side.

A lab owns 198.18.N.0/24 out of the benchmarking range (RFC 2544) and a /64 out of a unique local prefix (RFC 4193).
"""

from __future__ import annotations

import fcntl
import hashlib
import ipaddress
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.lab.machine import LabError, cgroup_root, progress, wait_until

LOCKS = Path("/run/lock/signalbox-lab")
LAB_NAME = re.compile(r"[a-z][a-z0-9]{0,9}")
HOST_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")  # a label of RFC 1123
GLOBAL_ID = hashlib.sha256(b"signalbox lab").hexdigest()[:10]


def labs_directory() -> Path:
    """Return the directory that holds the state of every lab."""
    if chosen := os.environ.get("SIGNALBOX_LAB_STATE"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "signalbox/lab"


def cache_directory() -> Path:
    """Return the directory of what is expensive to build and safe to delete."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "signalbox/lab"


@dataclass(frozen=True)
class Lab:
    """A lab by its name; nothing on the machine changes by making one."""

    name: str

    @classmethod
    def current(cls) -> Lab:
        """Return the lab that SIGNALBOX_LAB names, `lab` by default."""
        name = os.environ.get("SIGNALBOX_LAB") or "lab"
        if not LAB_NAME.fullmatch(name):
            raise LabError(f"SIGNALBOX_LAB: {name!r} cannot name a lab; write a letter, then up to 9 of a-z and 0-9")
        return cls(name)

    @property
    def state(self) -> Path:
        """The lab's directory: everything it knows, and everything that `down` takes away."""
        return labs_directory() / self.name

    @property
    def key(self) -> Path:
        """The private key that may log in as root on every host."""
        return self.state / "id_ed25519"

    @property
    def bridge(self) -> str:
        """The bridge's interface name (at most 15 characters)."""
        return f"sb-{self.name}"

    @property
    def table(self) -> str:
        """The nftables table's name, in family inet."""
        return f"signalbox_{self.name}"

    @cached_property
    def number(self) -> int:
        """The N of 198.18.N.0/24; LabError when the lab has no network yet."""
        try:
            return int(json.loads((self.state / "network.json").read_text())["number"])
        except FileNotFoundError:
            raise LabError(f"lab {self.name!r} is not up: python -m tests.lab up NAME") from None

    def ipv4(self, host: int) -> str:
        """Return the IPv4 address of host number `host` (1 is this machine, on the bridge)."""
        return f"198.18.{self.number}.{host}"

    def ipv6(self, host: int) -> str:
        """Return the IPv6 address of host number `host`."""
        prefix = f"fd{GLOBAL_ID[:2]}:{GLOBAL_ID[2:6]}:{GLOBAL_ID[6:10]}"
        return str(ipaddress.IPv6Address(f"{prefix}:{self.number:x}::{host:x}"))

    def host(self, name: str) -> HostFiles:
        """Return where the named host keeps its files; LabError when the name cannot be one."""
        if not HOST_NAME.fullmatch(name):
            raise LabError(
                f"{name!r} cannot name a host; write a letter, then up to 62 of a-z, 0-9 and -, and no - at the end"
            )
        return HostFiles(name, self)

    def hosts(self) -> list[str]:
        """Return the names of all hosts that exist, running or not."""
        return sorted(path.parent.name for path in self.state.glob("hosts/*/host.json"))


@dataclass(frozen=True)
class HostFiles:
    """Where one host keeps what, and what this machine calls what is the host's."""

    name: str
    lab: Lab

    @property
    def directory(self) -> Path:
        """All that the host keeps."""
        return self.lab.state / "hosts" / self.name

    @property
    def cgroup(self) -> Path:
        """Its own, else hosts would see each other's units."""
        return cgroup_root() / f"signalbox-{self.lab.name}-{self.name}"

    @property
    def number_file(self) -> Path:
        """The host's number in its lab, written before anything else."""
        return self.directory / "number"

    @property
    def machine(self) -> str:
        """The name that systemd-nspawn knows it by: of numbers, so that each lab may have a host of any name."""
        return f"{self.lab.number}-{self.number_file.read_text()}"

    @property
    def veth(self) -> str:
        """This machine's end of the host's cable, as systemd-nspawn names it (at most 15 characters)."""
        return f"vb-{self.machine}"

    @property
    def upper(self) -> Path:
        """What differs from the base tree."""
        return self.directory / "upper"

    @property
    def record(self) -> Path:
        """JSON: number, machine_id, host_keys, base. The host exists when this does."""
        return self.directory / "host.json"

    def facts(self) -> dict[str, Any]:
        """Return what the record holds; LabError when there is no such host."""
        try:
            return dict(json.loads(self.record.read_text()))
        except FileNotFoundError:
            raise LabError(f"there is no host {self.name!r}: python -m tests.lab up {self.name}") from None

    @property
    def supervisor(self) -> Path:
        """JSON: the supervisor's process, while the host runs."""
        return self.directory / "supervisor.json"

    @property
    def leader(self) -> Path:
        """JSON: systemd-nspawn's process, while the host runs."""
        return self.directory / "nspawn.json"

    @property
    def log(self) -> Path:
        """The console."""
        return self.directory / "console.log"


@contextmanager
def locked(subject: str, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock of this machine on `subject`; say so when somebody else has it."""
    LOCKS.mkdir(parents=True, exist_ok=True)
    with (LOCKS / subject).open("w") as file:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX

        def taken() -> bool:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        if not wait_until(taken, 2):
            progress.print(f"waiting for another lab command ({subject}) …")
            fcntl.flock(file, kind)
        yield

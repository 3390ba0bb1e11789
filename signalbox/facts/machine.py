"""The machine, its network, and single lines of its files."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from pyinfra.api import FactBase

from signalbox.manifest import MANIFEST


@dataclass(frozen=True)
class MachineState:
    """What preflight wants to know; sizes in MiB, `epoch` in seconds."""

    debian: str = ""
    architecture: str = ""
    init: str = ""
    disk_mib: int = 0
    memory_mib: int = 0
    epoch: float = 0.0
    deployed: bool = False
    credentials: bool = False
    uid: int = 0


class Machine(FactBase[MachineState]):
    """The machine: Debian release, architecture, init, disk, memory, clock; and whether we were here before."""

    def command(self) -> str:
        """Return the command."""
        return (
            "( . /etc/os-release; echo debian=$ID-$VERSION_ID ); echo arch=$(dpkg --print-architecture 2>/dev/null);"
            " read -r init < /proc/1/comm; echo init=$init; echo disk=$(df -BM --output=avail /);"
            " read -r _ memory _ < /proc/meminfo; echo memory=$((memory / 1024)); echo epoch=$(date +%s.%N);"
            " echo uid=$(id -u);"
            f" [ ! -d {MANIFEST} ] || echo deployed=yes;"
            # systemd encrypts for unprivileged users since 256, through this socket.
            " [ ! -S /run/systemd/io.systemd.Credentials ] || echo credentials=yes"
        )

    default = MachineState

    def process(self, output: list[str]) -> MachineState:
        """Parse `name=value` lines."""
        values = dict(line.split("=", 1) for line in output if "=" in line)
        return MachineState(
            debian=values.get("debian", ""),
            architecture=values.get("arch", ""),
            init=values.get("init", ""),
            disk_mib=int(values.get("disk", "0").split()[-1].rstrip("M") or 0),  # below a heading
            memory_mib=int(values.get("memory") or 0),
            epoch=float(values.get("epoch") or 0),
            deployed="deployed" in values,
            credentials=values.get("credentials") == "yes",
            uid=int(values.get("uid") or 0),
        )


class Reachable(FactBase[dict[str, bool]]):
    """Which of these addresses ("host:port") take a TCP connection from the host, all tried side by side."""

    def command(self, addresses: tuple[str, ...], seconds: int) -> str:
        """Return the command. bash's /dev/tcp: a bare Debian has no curl yet."""
        tries = " ".join(
            f"( timeout {seconds} bash -c '</dev/tcp/{host}/{port}' 2>/dev/null"
            f" && echo {address} yes || echo {address} no ) &"
            for address in addresses
            for host, _, port in [address.rpartition(":")]
        )
        return f"{tries} wait" if addresses else "true"

    default = dict

    def process(self, output: list[str]) -> dict[str, bool]:
        """Parse `address yes|no` lines."""
        return {address: answer == "yes" for address, _, answer in (line.partition(" ") for line in output)}


class FirstLine(FactBase[str]):
    """The first line of a file, "" where there is none."""

    def command(self, path: str) -> str:
        """Return the command."""
        return f"head -n1 {shlex.quote(path)} 2>/dev/null || true"

    default = str

    def process(self, output: list[str]) -> str:
        """Return the line."""
        return output[0] if output else ""

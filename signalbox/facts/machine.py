"""The machine, its network, and single lines of its files."""

from __future__ import annotations

import re
from dataclasses import dataclass

from signalbox.facts.look import SHAPES, Look, looks
from signalbox.shell import Script, each_of, sh
from signalbox.shell.answer import HostFact, UnreadableError, asked, fields, number, records, text_of
from signalbox.shell.manifest import MANIFEST
from signalbox.shell.originals import owner_of


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


class Machine(HostFact[MachineState]):
    """The machine: Debian release, architecture, init, disk, memory, clock; and whether we were here before."""

    def command(self) -> Script:
        """Return the command."""
        values = {
            "debian": sh('"$(. /etc/os-release; echo "$ID-$VERSION_ID")"'),
            "architecture": sh('"$(dpkg --print-architecture)"'),
            "init": sh('"$init"'),
            "disk": sh('"$(df -BM --output=avail / | tail -n1 | tr -cd 0-9)"'),
            "memory": sh('"$((memory / 1024))"'),
            "epoch": sh('"$(date +%s.%N)"'),
            "uid": sh('"$(id -u)"'),
            "deployed": sh('"$([ ! -d {} ] || echo yes)"', MANIFEST),
            # systemd encrypts for unprivileged users since 256, through this socket.
            "credentials": sh('"$([ ! -S /run/systemd/io.systemd.Credentials ] || echo yes)"'),
        }
        told = [sh("printf 'is\\0%s\\0%s\\0' {} {}", name, value) for name, value in values.items()]
        return asked(each_of(sh("read -r init < /proc/1/comm; read -r _ memory _ < /proc/meminfo"), *told))

    default = MachineState

    def process(self, output: list[str]) -> MachineState:
        """Read a name and its value a record."""
        told = {name: value for _, name, value in records(output, {"is": 2})}
        epoch = told.get("epoch", "0")
        if not re.fullmatch(r"\d{1,12}(?:\.\d{1,9})?", epoch, re.ASCII):
            raise UnreadableError("the host told something else than the time")
        return MachineState(
            debian=told.get("debian", ""),
            architecture=told.get("architecture", ""),
            init=told.get("init", ""),
            disk_mib=number(told.get("disk") or "0"),
            memory_mib=number(told.get("memory") or "0"),
            epoch=float(epoch),
            deployed=told.get("deployed") == "yes",
            credentials=told.get("credentials") == "yes",
            uid=number(told.get("uid") or "0"),
        )


class Reachable(HostFact[dict[str, bool]]):
    """Which of these addresses ("host:port") take a TCP connection from the host, all tried side by side."""

    def command(self, addresses: tuple[str, ...], seconds: int) -> Script:
        """Return the command. bash's /dev/tcp: a bare Debian has no curl yet."""
        tries = [
            sh(
                "( timeout {} bash -c {} bash {} {} && printf '%s\\0' {} ) &",
                seconds,
                '</dev/tcp/"$1"/"$2"',
                *address.rpartition(":")[::2],
                address,
            )
            for address in addresses
        ]
        return asked(sh("{} wait", tries), seconds=10 + 2 * seconds)

    default = dict

    def process(self, output: list[str]) -> dict[str, bool]:
        """Read the addresses that do."""
        return dict.fromkeys(fields(output), True)


class FirstLine(HostFact[str]):
    """The first line of a file, "" where there is none."""

    def command(self, path: str) -> Script:
        """Return the command."""
        return asked(looks([Look("text", owner_of(path), path)]))

    default = str

    def process(self, output: list[str]) -> str:
        """Return the line."""
        return next(iter(FileText().process(output)), "")


class FileText(HostFact[list[str]]):
    """The lines of a small file, with its owner's rights; [] where it cannot be read."""

    def command(self, path: str) -> Script:
        """Return the command."""
        return FirstLine().command(path)

    default = list

    def process(self, output: list[str]) -> list[str]:
        """Return the lines."""
        texts = [text_of(record[2]) for record in records(output, SHAPES) if record[0] == "text"]
        return texts[0].removesuffix("\n").split("\n") if texts else []

"""How the host is reached: the session that asks, its networks, its firewall, sshd, and changes not yet confirmed."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field

from pyinfra.api import FactBase

from signalbox.facts.users import UNIT_PROPERTIES, is_stale
from signalbox.guard import STATE
from signalbox.manifest import CONTROLLERS
from signalbox.networks import open_ports


@dataclass(frozen=True)
class GuardState:
    """waiting: the change that waits to be confirmed. restored: what the guard said when it last took one back."""

    waiting: str = ""
    restored: str = ""


class Guard(FactBase[GuardState]):
    """Whether a change waits to be confirmed, and whether one was taken back since the last that was."""

    def command(self) -> str:
        """Return the command."""
        return (
            f"cat {STATE}/armed/change {STATE}/restoring/change 2>/dev/null | sed 's/^/waiting /';"
            f" sed 's/^/restored /' {STATE}/restored 2>/dev/null || true"
        )

    default = GuardState

    def process(self, output: list[str]) -> GuardState:
        """Parse the tagged lines."""
        values = dict(line.split(" ", 1) for line in output if " " in line)
        return GuardState(values.get("waiting", ""), values.get("restored", ""))


@dataclass(frozen=True)
class SessionState:
    """The addresses of this connection as the host sees them; "" where there is none (@local)."""

    controller: str = ""
    port: int = 0


class Session(FactBase[SessionState]):
    """From where the deploy comes and which port it came to. Ask it without sudo, which drops what sshd says."""

    def command(self) -> str:
        """Return the command."""
        return 'echo "$SSH_CONNECTION"'

    default = SessionState

    def process(self, output: list[str]) -> SessionState:
        """Parse sshd's `client port server port`."""
        words = output[0].split() if output else []
        return SessionState(words[0].split("%")[0], int(words[3])) if len(words) == 4 else SessionState()


class Controllers(FactBase[list[str]]):
    """Where deploys have come from, the newest last; see signalbox/operations/controllers.py."""

    def command(self) -> str:
        """Return the command."""
        return f"cat {CONTROLLERS} 2>/dev/null || true"

    default = list

    def process(self, output: list[str]) -> list[str]:
        """Parse one address a line."""
        return [line for line in output if line]


class Networks(FactBase[list[str]]):
    """The networks that the host is attached to, as CIDR; not those of containers and tunnels without a carrier."""

    def command(self) -> str:
        """Return the command."""
        ask = "ip -j {} route show scope link proto kernel 2>/dev/null"
        # IPv6 routes have no scope; those of the kernel that have no gateway are on-link.
        return f"{ask.format('-4')}; ip -j -6 route show proto kernel 2>/dev/null; true"

    default = list

    def process(self, output: list[str]) -> list[str]:
        """Parse two JSON arrays of routes."""
        routes = [route for line in output if line.startswith("[") for route in json.loads(line)]
        found = {
            route["dst"]
            for route in routes
            if "/" in route.get("dst", "") and "gateway" not in route and "linkdown" not in route.get("flags", [])
        }
        return sorted(network for network in found if not network.startswith("fe80:"))


class FirewallLoaded(FactBase[bool]):
    """Whether the kernel's table `inet signalbox` is what this file would make of it.

    The file is loaded into a network namespace of its own, so the two listings are made by the same nft. What is in
    named sets (addresses that were looked up) is not compared.
    """

    def command(self, path: str) -> str:
        """Return the command."""
        show = "nft -st list table inet signalbox"
        fresh = f"unshare --net sh -c {shlex.quote(f'nft -f {path} && {show}')}"
        return f'{{ now=$({show}) && [ -n "$now" ] && [ "$now" = "$({fresh})" ] && echo yes; }} 2>/dev/null; true'

    default = bool

    def process(self, output: list[str]) -> bool:
        """Return the answer."""
        return output == ["yes"]


class OpenPorts(FactBase[list[str]]):
    """What the kernel's rules of ours let in by port, such as "tcp/22"; nothing where they are not loaded."""

    def command(self) -> str:
        """Return the command."""
        return "nft -s list chain inet signalbox input 2>/dev/null || true"

    default = list

    def process(self, output: list[str]) -> list[str]:
        """Parse nft's listing."""
        return open_ports("\n".join(output))


# What sshd reads, and its directory, where that is newer than what it has loaded.
UNREAD = (
    "find /etc/ssh/sshd_config /etc/ssh/sshd_config.d \\( -type d -o -name '*.conf' -o -name sshd_config \\)"
    " -cnewer /run/sshd.pid 2>/dev/null"
)


@dataclass(frozen=True)
class SshdState:
    """changed: configuration files that are newer than what sshd has loaded. effective: `sshd -T` for one login."""

    changed: tuple[str, ...] = ()
    effective: dict[str, str] = field(default_factory=dict)


class Sshd(FactBase[SshdState]):
    """What sshd makes of its files for a login of `user` from `address`, and which of them it has not read yet.

    sshd writes its pid file when it starts and again when it reloads. One that systemd starts for each connection
    has none, and reads the files each time.
    """

    def command(self, user: str, address: str) -> str:
        """Return the command."""
        match = (
            f"user={user},host={address},addr={address}" if address else f"user={user},host=localhost,addr=127.0.0.1"
        )
        return (
            f"[ ! -e /run/sshd.pid ] || {UNREAD} | sed 's/^/changed /';"
            f" /usr/sbin/sshd -T -C {shlex.quote(match)} 2>/dev/null | sed 's/^/effective /'; true"
        )

    default = SshdState

    def process(self, output: list[str]) -> SshdState:
        """Parse the tagged lines; a keyword that is there more than once (port) has its values joined."""
        changed, effective = [], dict[str, str]()
        for line in output:
            tag, _, rest = line.partition(" ")
            if tag == "changed":
                changed.append(rest)
            elif tag == "effective":
                key, _, value = rest.partition(" ")
                effective[key] = f"{effective[key]} {value}" if key in effective else value
        return SshdState(tuple(changed), effective)


@dataclass(frozen=True)
class SystemUnitState:
    """A unit of the system's manager. started_with: hashes of the inputs that the process read when it started.

    touched: those of the inputs that were changed after that, be it to what they were: the process may have been
    told to read them in between.
    """

    active: bool = False
    enabled: bool = False
    needs_reload: bool = False
    started_with: dict[str, str] = field(default_factory=dict)
    touched: tuple[str, ...] = ()


class SystemUnit(FactBase[SystemUnitState]):
    """State of a unit; one that has inputs notes their hashes in /run/signalbox/<unit>.inputs when it starts."""

    def command(self, unit: str, inputs: tuple[str, ...] = ()) -> str:
        """Return the command."""
        note, files = f"/run/signalbox/{unit}.inputs", " ".join(map(shlex.quote, inputs))
        read = (
            f"; sed 's/^/started /' {note} 2>/dev/null; find {files} -cnewer {note} -printf 'touched %p\\n' 2>/dev/null"
        )
        show = f"systemctl show {unit} -p {UNIT_PROPERTIES} 2>/dev/null"
        return f"{show}{read if inputs else ''}; true"

    default = SystemUnitState

    def process(self, output: list[str]) -> SystemUnitState:
        """Parse systemctl's properties and the tagged `sha256sum` lines."""
        properties = dict(line.split("=", 1) for line in output if "=" in line and " " not in line)
        started, touched = {}, []
        for line in output:
            if line.startswith("started "):
                _, digest, path = line.split(maxsplit=2)
                started[path] = digest
            elif line.startswith("touched "):
                touched.append(line.split(" ", 1)[1])
        return SystemUnitState(
            active=properties.get("ActiveState") == "active",
            enabled=properties.get("UnitFileState") == "enabled",
            needs_reload=is_stale(properties),
            started_with=started,
            touched=tuple(touched),
        )


@dataclass(frozen=True)
class KernelSetting:
    """A sysctl as it is, and whether root may set it here."""

    value: str
    writable: bool


class KernelSettings(FactBase[dict[str, KernelSetting]]):
    """Those of the sysctl keys that this kernel has; in a container most are there and not writable."""

    def command(self, keys: tuple[str, ...]) -> str:
        """Return the command. Not the shell's `read`: dash reads byte by byte, which /proc/sys does not answer."""
        paths = " ".join(shlex.quote(f"/proc/sys/{key.replace('.', '/')}") for key in keys)
        return f'grep -s "" {paths} /dev/null; for p in {paths}; do [ ! -w $p ] || echo "$p writable"; done; true'

    default = dict

    def process(self, output: list[str]) -> dict[str, KernelSetting]:
        """Parse `path:value` and `path writable` lines."""
        writable = {line.split()[0] for line in output if line.endswith(" writable")}
        found = {}
        for line in output:
            path, colon, value = line.partition(":")
            if colon:
                key = path.removeprefix("/proc/sys/").replace("/", ".")
                found[key] = KernelSetting(value.strip(), path in writable)
        return found

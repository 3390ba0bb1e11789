"""What a host is now. Each fact is one short command; absence is an answer, never an error."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from pyinfra.api import FactBase

from signalbox.manifest import MANIFEST, Entry, entry_path
from signalbox.run_as import run_as


def _show_entry(entry: str) -> str:
    # One line of JSON. `read` is the shell's own: a process less for every file we place.
    show = '[ -z "$line" ] || printf \'entry %s\\n\' "$line"'
    return f"[ ! -f {entry} ] || {{ read -r line < {entry}; {show}; }}"


@dataclass(frozen=True)
class PlacedState:
    """A path as it is (`type` None: absent; file, directory, link or other) and its manifest entry."""

    type: str | None = None
    mode: str = ""
    user: str = ""
    group: str = ""
    sha256: str | None = None
    target: str | None = None
    entry: Entry | None = None


class Placed(FactBase[PlacedState]):
    """The path's type, owner, mode (octal), content hash or link target, with its manifest entry."""

    def command(self, path: str, kind: str) -> str:
        """Return the command; `kind` is the manifest kind under which the path would be recorded."""
        p, entry = shlex.quote(path), shlex.quote(entry_path(kind, path))
        return (
            f"stat -c 'stat %F|%a|%U|%G' {p} 2>/dev/null;"
            f" if [ -L {p} ]; then printf 'target '; readlink {p};"
            f" elif [ -f {p} ]; then printf 'sha256 '; sha256sum < {p}; fi;"
            f" {_show_entry(entry)}"
        )

    default = PlacedState

    def process(self, output: list[str]) -> PlacedState:
        """Parse `stat`, `target`, `sha256` and `entry` lines."""
        values = dict(line.split(" ", 1) for line in output if " " in line)
        kind, mode, user, group = values.get("stat", "|||").split("|")
        types = {"": None, "regular file": "file", "regular empty file": "file", "symbolic link": "link"}
        return PlacedState(
            type=types.get(kind, kind if kind == "directory" else "other"),
            mode=mode,
            user=user,
            group=group,
            sha256=values["sha256"].split()[0] if "sha256" in values else None,
            target=values.get("target"),
            entry=Entry.from_json(values["entry"]) if "entry" in values else None,
        )


@dataclass(frozen=True)
class DirectoryState:
    """A directory's owner ("user:group"), mode (octal), and whether the manifest says that we made it."""

    owner: str
    mode: str
    ours: bool


class Directories(FactBase[dict[str, DirectoryState]]):
    """Those of the paths that are directories."""

    def command(self, paths: tuple[str, ...]) -> str:
        """Return the command."""
        pairs = " ".join(f"{shlex.quote(path)} {shlex.quote(entry_path('directory', path))}" for path in paths)
        return (
            f'set -- {pairs}; while [ $# -gt 1 ]; do if [ -d "$1" ]; then stat -c \'%U:%G %a\' "$1";'
            ' [ -f "$2" ] && echo ours || echo theirs; echo "$1"; fi; shift 2; done'
        )

    default = dict

    def process(self, output: list[str]) -> dict[str, DirectoryState]:
        """Parse three lines a directory: owner and mode, whose it is, path."""
        states = {}
        for status, whose, path in zip(output[0::3], output[1::3], output[2::3], strict=True):
            owner, mode = status.split()
            states[path] = DirectoryState(owner, mode, whose == "ours")
        return states


class Manifest(FactBase[list[Entry]]):
    """Every manifest entry of the host."""

    def command(self) -> str:
        """Return the command."""
        return f"cat {MANIFEST}/*-???????? 2>/dev/null || true"

    default = list

    def process(self, output: list[str]) -> list[Entry]:
        """Parse one entry a line."""
        return [Entry.from_json(line) for line in output]


class Packages(FactBase[dict[str, str]]):
    """dpkg's status of each asked package: "installed", "half-configured", …; absent ones are left out."""

    def command(self, packages: tuple[str, ...]) -> str:
        """Return the command."""
        names = " ".join(map(shlex.quote, packages))
        return f"dpkg-query -W -f '${{Package}} ${{db:Status-Status}}\\n' {names} 2>/dev/null || true"

    default = dict

    def process(self, output: list[str]) -> dict[str, str]:
        """Parse `name status` lines."""
        return dict(line.split(" ", 1) for line in output)


@dataclass(frozen=True)
class UserState:
    """A user as the host knows it; `exists` False: nothing else is meaningful."""

    exists: bool = False
    uid: int = -1
    home: str = ""
    shell: str = ""
    groups: tuple[str, ...] = ()
    has_password: bool = False
    subuids: int = 0
    subgids: int = 0
    linger: bool = False
    bus: bool = False
    authorized_keys: tuple[str, ...] = ()


class User(FactBase[UserState]):
    """All that tasks ask about one user, in one command."""

    def command(self, user: str) -> str:
        """Return the command."""
        return (
            f"getent passwd {user} | sed 's/^/passwd /';"
            f" printf 'groups '; id -Gn {user} 2>/dev/null || echo;"
            f" getent shadow {user} | cut -d: -f2 | grep -q '^\\$' && echo 'password yes';"
            f" awk -F: -v u={user} '$1==u {{n+=$3}} END {{print \"subuids \" n+0}}' /etc/subuid 2>/dev/null;"
            f" awk -F: -v u={user} '$1==u {{n+=$3}} END {{print \"subgids \" n+0}}' /etc/subgid 2>/dev/null;"
            f" [ ! -e /var/lib/systemd/linger/{user} ] || echo 'linger yes';"
            f" [ ! -S /run/user/$(id -u {user} 2>/dev/null)/bus ] || echo 'bus yes';"
            f" sed 's/^/key /' ~{user}/.ssh/authorized_keys 2>/dev/null || true"
        )

    default = UserState

    def process(self, output: list[str]) -> UserState:
        """Parse the tagged lines."""
        values: dict[str, list[str]] = {}
        for tag, _, rest in (line.partition(" ") for line in output):
            values.setdefault(tag, []).append(rest)
        if "passwd" not in values:
            return UserState()
        _, _, uid, _, _, home, shell = values["passwd"][0].split(":")
        return UserState(
            exists=True,
            uid=int(uid),
            home=home,
            shell=shell,
            groups=tuple(values.get("groups", [""])[0].split()),
            has_password="password" in values,
            subuids=int(values.get("subuids", ["0"])[0]),
            subgids=int(values.get("subgids", ["0"])[0]),
            linger="linger" in values,
            bus="bus" in values,
            authorized_keys=tuple(values.get("key", [])),
        )


@dataclass(frozen=True)
class UnitState:
    """A unit of a user's manager: as systemd has it loaded, and the inputs that the running process read."""

    active: bool = False
    enabled: bool = False
    needs_reload: bool = False
    started_with: dict[str, str] = field(default_factory=dict)
    on_disk: dict[str, str] = field(default_factory=dict)


class UserUnit(FactBase[UnitState]):
    """State of a user unit, with the hashes of its input files when it started and now.

    A unit notes what it started with in %t/<unit>.inputs (`sha256sum` of its inputs in ExecStartPre), so
    that 'restart needed' is a fact: a run that died between writing a file and restarting loses nothing.
    """

    def command(self, unit: str, user: str, home: str, inputs: tuple[str, ...]) -> str:
        """Return the command."""
        files = " ".join(map(shlex.quote, inputs))
        # Without a bus, systemctl fails and every line is missing: that reads as 'not running', which is so.
        show = run_as(
            user,
            home,
            f"systemctl --user show {unit} -p ActiveState,UnitFileState,NeedDaemonReload 2>/dev/null;"
            f" [ ! -f $XDG_RUNTIME_DIR/{unit}.inputs ] || sed 's/^/started /' $XDG_RUNTIME_DIR/{unit}.inputs",
        )
        disk = f"sha256sum {files} 2>/dev/null | sed 's/^/disk /'" if inputs else "true"
        return f"{{ ! id -u {user} >/dev/null 2>&1 || {show}; }} 2>/dev/null; {disk}; true"

    default = UnitState

    def process(self, output: list[str]) -> UnitState:
        """Parse systemctl's properties and the tagged `sha256sum` lines."""
        properties = dict(line.split("=", 1) for line in output if "=" in line and " " not in line)
        hashes: dict[str, dict[str, str]] = {"started": {}, "disk": {}}
        for line in output:
            tag, _, rest = line.partition(" ")
            if tag in hashes:
                digest, path = rest.split(maxsplit=1)
                hashes[tag][path] = digest
        return UnitState(
            active=properties.get("ActiveState") == "active",
            enabled=properties.get("UnitFileState") == "enabled",
            needs_reload=properties.get("NeedDaemonReload") == "yes",
            started_with=hashes["started"],
            on_disk=hashes["disk"],
        )


class UserCommand(FactBase[list[str]]):
    """The lines that a read-only command prints as a user; [] where the user or the program is missing."""

    def command(self, user: str, home: str, script: str) -> str:
        """Return the command."""
        return f"{{ ! id -u {user} >/dev/null 2>&1 || {run_as(user, home, script)}; }} 2>/dev/null || true"

    default = list

    def process(self, output: list[str]) -> list[str]:
        """Return the lines; docker prints an empty one where it found nothing."""
        return [line for line in output if line]


@dataclass(frozen=True)
class ToolState:
    """A program's size and change time ("" where it is missing) and its manifest entry."""

    fingerprint: str = ""
    entry: Entry | None = None


class Tool(FactBase[ToolState]):
    """A pinned program as it is and as it was installed."""

    def command(self, ident: str, binary: str) -> str:
        """Return the command."""
        entry = shlex.quote(entry_path("tool", ident))
        return f"stat -L -c 'now %s-%Z' {shlex.quote(binary)} 2>/dev/null; {_show_entry(entry)}"

    default = ToolState

    def process(self, output: list[str]) -> ToolState:
        """Parse `now` and `entry` lines."""
        values = dict(line.split(" ", 1) for line in output)
        return ToolState(values.get("now", ""), Entry.from_json(values["entry"]) if "entry" in values else None)


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


class Machine(FactBase[MachineState]):
    """The machine: Debian release, architecture, init, disk, memory, clock; and whether we were here before."""

    def command(self) -> str:
        """Return the command."""
        return (
            "( . /etc/os-release; echo debian=$ID-$VERSION_ID ); echo arch=$(dpkg --print-architecture 2>/dev/null);"
            " echo init=$(cat /proc/1/comm); echo disk=$(df -Pm / | awk 'NR==2 {print $4}');"
            " echo memory=$(awk '/^MemTotal/ {print int($2/1024)}' /proc/meminfo); echo epoch=$(date +%s.%N);"
            f" [ ! -d {MANIFEST} ] || echo deployed=yes"
        )

    default = MachineState

    def process(self, output: list[str]) -> MachineState:
        """Parse `name=value` lines."""
        values = dict(line.split("=", 1) for line in output if "=" in line)
        return MachineState(
            debian=values.get("debian", ""),
            architecture=values.get("arch", ""),
            init=values.get("init", ""),
            disk_mib=int(values.get("disk") or 0),
            memory_mib=int(values.get("memory") or 0),
            epoch=float(values.get("epoch") or 0),
            deployed="deployed" in values,
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


class LoadableModules(FactBase[list[str]]):
    """Those of the kernel modules that are neither loaded nor built in, but could be loaded."""

    def command(self, modules: tuple[str, ...]) -> str:
        """Return the command. In a container there are none: the kernel is the host's."""
        return f"for m in {' '.join(modules)}; do modprobe -n -q --first-time $m 2>/dev/null && echo $m; done; true"

    default = list

    def process(self, output: list[str]) -> list[str]:
        """Return the names."""
        return output


class TrustedCertificates(FactBase[dict[str, bool]]):
    """Our CA files in /usr/local/share/ca-certificates by name: whether the system's bundle is newer than the file."""

    def command(self) -> str:
        """Return the command."""
        return (
            "for f in /usr/local/share/ca-certificates/signalbox-*.crt; do [ -f $f ] || continue;"
            " b=${f##*/}; if [ -e /etc/ssl/certs/${b%.crt}.pem ] && [ ! $f -nt /etc/ssl/certs/ca-certificates.crt ];"
            " then echo $b yes; else echo $b no; fi; done; true"
        )

    default = dict

    def process(self, output: list[str]) -> dict[str, bool]:
        """Parse `name yes|no` lines."""
        return {name: answer == "yes" for name, _, answer in (line.partition(" ") for line in output)}

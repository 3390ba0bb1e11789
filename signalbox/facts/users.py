"""Users and what runs in their systemd managers."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pyinfra.api import FactBase

from signalbox.facts.placed import show_entry
from signalbox.manifest import Entry, entry_path
from signalbox.run_as import run_as

SUBIDS = 65536  # what rootless containers need: https://docs.docker.com/engine/security/rootless/
FIRST_SUBID = 100000  # SUB_UID_MIN of Debian's login.defs


@dataclass(frozen=True)
class UserState:
    """A user as the host knows it; `exists` False: nothing else is meaningful.

    subuids, subgids: how many it has; first_subid: where they begin, "" without any; subids_entry: what the
    manifest says of that. uids: all user ids by which it can do a thing: its own, and those that newuidmap gives
    it, whether its owner's name or number stands beside them or another source of nsswitch.conf has them.
    free_subids: where a range of SUBIDS may begin that nobody else has: the one in the manifest, if it is free,
    because files in the user's containers belong to those ids.
    """

    exists: bool = False
    uid: int = -1
    home: str = ""
    shell: str = ""
    groups: tuple[str, ...] = ()
    has_password: bool = False
    subuids: int = 0
    subgids: int = 0
    first_subid: str = ""
    uids: tuple[range, ...] = ()
    subids_entry: Entry | None = None
    free_subids: int = FIRST_SUBID
    linger: bool = False
    bus: bool = False
    authorized_keys: tuple[str, ...] = ()


def _ranges(lines: Iterable[str]) -> Iterator[tuple[str, range]]:
    """Yield owner and ids of each well-formed line of /etc/subuid or /etc/subgid."""
    for line in lines:
        owner, _, ids = line.partition(":")
        first, _, count = ids.partition(":")
        if first.isdigit() and count.isdigit():
            yield owner, range(int(first), int(first) + int(count))


def _free(name: str, ranges: Sequence[tuple[str, range]], entry: Entry | None) -> int:
    others = [ids for owner, ids in ranges if owner != name]
    if entry and entry.hash.isdigit():
        had = int(entry.hash)
        if all(ids.stop <= had or had + SUBIDS <= ids.start for ids in others):
            return had
    return max([FIRST_SUBID, *(ids.stop for _, ids in ranges)])


class User(FactBase[UserState]):
    """All that tasks ask about one user, in one command."""

    def command(self, user: str) -> str:
        """Return the command."""
        return (
            f'passwd=$(getent passwd {user}) && echo "passwd $passwd";'
            f" printf 'groups '; id -Gn {user} 2>/dev/null || echo;"
            f" case $(getent shadow {user}) in {user}:\\$*) echo 'password yes';; esac;"
            " sed 's/^/subuid /' /etc/subuid 2>/dev/null; sed 's/^/subgid /' /etc/subgid 2>/dev/null;"
            f" getsubids {user} 2>/dev/null | sed 's/^/range /';"
            f" {show_entry(entry_path('subids', user))};"
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
        name, _, uid, _, _, home, shell = values["passwd"][0].split(":")
        entry = Entry.from_json(values["entry"][0]) if "entry" in values else None
        ranges = {kind: list(_ranges(values.get(kind, []))) for kind in ("subuid", "subgid")}
        # "0: claude 100000 65536": once the package uidmap is there.
        known = [":".join(line.split()[1:]) for line in values.get("range", [])]
        uids = {ids for owner, ids in (*ranges["subuid"], *_ranges(known)) if owner in (name, uid)}
        return UserState(
            exists=True,
            uid=int(uid),
            home=home,
            shell=shell,
            groups=tuple(values.get("groups", [""])[0].split()),
            has_password="password" in values,
            subuids=sum(len(ids) for owner, ids in ranges["subuid"] if owner == name),
            subgids=sum(len(ids) for owner, ids in ranges["subgid"] if owner == name),
            first_subid=next((str(ids.start) for owner, ids in ranges["subuid"] if owner == name), ""),
            uids=(range(int(uid), int(uid) + 1), *sorted(uids, key=lambda ids: (ids.start, ids.stop))),
            subids_entry=entry,
            free_subids=_free(name, [*ranges["subuid"], *ranges["subgid"]], entry),
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


def digests(paths: Sequence[str]) -> str:
    """Return shell that prints `<digest>  <path>` for each file: its SHA-256, or inode and change time of a `.key`.

    A plain secret's hash would be in facts, which pyinfra shows with -vvv: a weak one could be guessed from it.
    """
    plain = [path for path in paths if path.endswith(".key")]
    hashed = [path for path in paths if path not in plain]
    words = [f"sha256sum {' '.join(map(shlex.quote, hashed))}"] if hashed else []
    words += [f"stat -c '%i-%Z  %n' {' '.join(map(shlex.quote, plain))}"] if plain else []
    return "; ".join(words)


UNIT_PROPERTIES = "ActiveState,UnitFileState,LoadState,NeedDaemonReload"


def is_stale(properties: Mapping[str, str]) -> bool:
    """Return whether systemd must read the unit's files again.

    A unit that ran while its file was gone and the manager was reloaded, and whose file is back, is in LoadState
    "error" (EBUSY), with NeedDaemonReload "no": systemd 257 refuses to reload or restart it.
    """
    return properties.get("NeedDaemonReload") == "yes" or properties.get("LoadState") == "error"


class UserUnit(FactBase[UnitState]):
    """State of a user unit, with the hashes of its input files when it started and now.

    A unit notes what it started with in %t/<unit>.inputs (`digests` of its inputs in ExecStartPre), so
    that 'restart needed' is a fact: a run that died between writing a file and restarting loses nothing.
    """

    def command(self, unit: str, user: str, home: str, inputs: tuple[str, ...]) -> str:
        """Return the command."""
        # Without a bus, systemctl fails and every line is missing: that reads as 'not running', which is so.
        show = run_as(
            user,
            home,
            f"systemctl --user show {unit} -p {UNIT_PROPERTIES} 2>/dev/null;"
            f" [ ! -f $XDG_RUNTIME_DIR/{unit}.inputs ] || sed 's/^/started /' $XDG_RUNTIME_DIR/{unit}.inputs",
        )
        disk = f"{{ {digests(inputs)}; }} 2>/dev/null | sed 's/^/disk /'" if inputs else "true"
        return f"{{ {show}; }} 2>/dev/null; {disk}; true"

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
            needs_reload=is_stale(properties),
            started_with=hashes["started"],
            on_disk=hashes["disk"],
        )


class UserCommand(FactBase[list[str]]):
    """The lines that a read-only command prints as a user; [] where the user or the program is missing."""

    def command(self, user: str, home: str, script: str) -> str:
        """Return the command."""
        return f"{{ {run_as(user, home, script)}; }} 2>/dev/null || true"  # a user that is missing prints nothing

    default = list

    def process(self, output: list[str]) -> list[str]:
        """Return the lines; docker prints an empty one where it found nothing."""
        return [line for line in output if line]

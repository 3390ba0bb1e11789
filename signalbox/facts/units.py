"""Units of the system's manager and of a user's own, and the files that their processes read when they started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from signalbox.facts.look import SHAPES, Look, found, looks
from signalbox.shell import Script, each_of, sh
from signalbox.shell.answer import HostFact, asked, claim, fields, records, said_by, text_of
from signalbox.shell.originals import owner_of

# Those of ours are asked about together: systemctl takes as long for one.
SYSTEM = ("fail2ban.service", "nftables.service", "signalbox-firewall.service", "signalbox-guard.service")
USER = ("claude-doctor.timer", "docker.service", "litellm.service")
_PROPERTIES = ("Id", "ActiveState", "UnitFileState", "LoadState", "NeedDaemonReload", "DropInPaths")


@dataclass(frozen=True)
class Unit:
    """A unit as its manager has it loaded. drop_ins: paths of the files that change the unit's own."""

    active: bool = False
    enabled: bool = False
    needs_reload: bool = False
    drop_ins: tuple[str, ...] = ()


def _units(text: str) -> dict[str, Unit]:
    """Return the units that `systemctl show` printed, by name."""
    every = [dict(line.partition("=")[::2] for line in block.split("\n")) for block in text.split("\n\n")]
    return {
        unit["Id"]: Unit(
            active=unit.get("ActiveState") == "active",
            enabled=unit.get("UnitFileState") == "enabled",
            needs_reload=_is_stale(unit),
            drop_ins=_drop_ins(unit),
        )
        for unit in every
        if "Id" in unit
    }


def _is_stale(properties: Mapping[str, str]) -> bool:
    """Return whether systemd must read the unit's files again.

    A unit that ran while its file was gone and the manager was reloaded, and whose file is back, is in LoadState
    "error" (EBUSY), with NeedDaemonReload "no": systemd 257 refuses to reload or restart it.
    """
    return properties.get("NeedDaemonReload") == "yes" or properties.get("LoadState") == "error"


def _drop_ins(properties: Mapping[str, str]) -> tuple[str, ...]:
    """Return the drop-ins of the unit itself; those of all units of its type are the system's."""
    paths = properties.get("DropInPaths", "").split()
    own = f"{properties['Id']}.d"
    return tuple(path for path in paths if path.isprintable() and path.split("/")[-2:-1] == [own])


class SystemUnits(HostFact[dict[str, Unit]]):
    """Units of the system's manager, by name; what it cannot tell of one is left out."""

    def command(self, units: tuple[str, ...] = SYSTEM) -> Script:
        """Return the command."""
        return asked(sh("systemctl show {} -p {}; printf '\\0'", units, ",".join(_PROPERTIES)))

    default = dict

    def process(self, output: list[str]) -> dict[str, Unit]:
        """Read systemctl's properties."""
        return _units("".join(fields(output)))


class UserUnits(HostFact[dict[str, Unit]]):
    """Units of a user's own manager, as its processes say; without a bus there are none, and nothing runs."""

    def command(self, user: str, home: str, units: tuple[str, ...] = USER) -> Script:
        """Return the command."""
        return asked(said_by(user, home, sh("systemctl --user show {} -p {}", units, ",".join(_PROPERTIES))))

    default = dict

    def process(self, output: list[str]) -> dict[str, Unit]:
        """Read systemctl's properties."""
        return _units("".join(map(claim, fields(output))))


@dataclass(frozen=True)
class Inputs:
    """The files that a unit's process reads when it starts. started_with: their digests at that time, by path.

    on_disk: their digests now. touched: those that were changed after that, be it to what they were: the process may
    have been told to read them in between.
    """

    started_with: dict[str, str] = field(default_factory=dict)
    on_disk: dict[str, str] = field(default_factory=dict)
    touched: tuple[str, ...] = ()


def _digests(text: str) -> dict[str, str]:
    """Return the digests that a unit noted (`<digest>  <path>` a line), by path; a line that is none is left out."""
    lines = [line.split(maxsplit=1) for line in text.split("\n")]
    return {words[1]: words[0] for words in lines if len(words) == 2}


class SystemInputs(HostFact[Inputs]):
    """Of a system unit, which notes the SHA-256 of each in /run/signalbox/<unit>.inputs when it starts."""

    def command(self, unit: str, inputs: tuple[str, ...]) -> Script:
        """Return the command."""
        note = f"/run/signalbox/{unit}.inputs"
        return asked(
            sh(
                "printf 'started\\0'; cat {note}; printf '\\0'; find {files} -cnewer {note} -printf 'touched\\0%p\\0'",
                note=note,
                files=inputs,
            )
        )

    default = Inputs

    def process(self, output: list[str]) -> Inputs:
        """Read what the unit noted, and what was touched since."""
        told = list(records(output, {"started": 1, "touched": 1}))
        started = "".join(record[1] for record in told if record[0] == "started")
        return Inputs(_digests(started), touched=tuple(record[1] for record in told if record[0] == "touched"))


class UserInputs(HostFact[Inputs]):
    """Of a user unit, which notes them in %t/<unit>.inputs in ExecStartPre.

    It notes the SHA-256 of each, or inode and change time of a `.key`. So 'restart needed' is a fact: a run that died
    between writing a file and restarting loses nothing. A plain secret's hash would be in facts, which pyinfra shows
    with -vvv: a weak one could be guessed.
    """

    def command(self, unit: str, user: str, inputs: tuple[str, ...]) -> Script:
        """Return the command."""
        noted = Look("text", user, sh('"$noted"'))
        disk = [Look("stat" if path.endswith(".key") else "hash", owner_of(path), path) for path in inputs]
        return asked(each_of(sh('noted=/run/user/"$(id -u {})"/{}.inputs', user, unit), looks([noted, *disk])))

    default = Inputs

    def process(self, output: list[str]) -> Inputs:
        """Read what the unit noted, and its inputs on disk."""
        started: dict[str, str] = {}
        disk: dict[str, str] = {}
        for record in records(output, SHAPES):
            if record[0] == "text":
                started = _digests(text_of(record[2]))
            elif record[0] == "hash":
                disk[record[1]] = record[2]
            elif record[0] == "at" and record[1].endswith(".key"):
                disk[record[1]] = found(record).identity
        return Inputs(started, disk)

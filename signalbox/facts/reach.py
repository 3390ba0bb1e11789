"""How the host is reached: the session that asks, its networks, its firewall, sshd, and changes not yet confirmed."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from signalbox.desired.firewall import open_ports
from signalbox.shell import Script, each_of, sh
from signalbox.shell.answer import HostFact, UnreadableError, asked, fields, records, values
from signalbox.shell.guard import STATE
from signalbox.shell.manifest import CONTROLLERS


@dataclass(frozen=True)
class GuardState:
    """waiting: the change that waits to be confirmed. restored: what the guard said when it last took one back."""

    waiting: str = ""
    restored: str = ""


class Guard(HostFact[GuardState]):
    """Whether a change waits to be confirmed, and whether one was taken back since the last that was."""

    def command(self) -> Script:
        """Return the command."""
        return asked(
            sh(
                "for f in {armed} {restoring}; do"
                " [ ! -e $f ] || {{ printf 'waiting\\0'; head -n1 $f; printf '\\0'; }}; done;"
                " [ ! -e {restored} ] || {{ printf 'restored\\0'; tail -n1 {restored}; printf '\\0'; }}",
                armed=f"{STATE}/armed/change",
                restoring=f"{STATE}/restoring/change",
                restored=f"{STATE}/restored",
            )
        )

    default = GuardState

    def process(self, output: list[str]) -> GuardState:
        """Read the records."""
        told = values(output, "waiting", "restored")
        return GuardState(told.get("waiting", "").rstrip("\n"), told.get("restored", "").rstrip("\n"))


@dataclass(frozen=True)
class SessionState:
    """This connection as the host sees it: its client, the port it came to and from; "" and 0: none (@local)."""

    controller: str = ""
    port: int = 0
    source: int = 0


class Session(HostFact[SessionState]):
    """From where the deploy comes and which port it came to. Ask it without sudo, which drops what sshd says."""

    def command(self) -> Script:
        """Return the command."""
        return asked(sh("printf '%s\\0' \"$SSH_CONNECTION\""))

    default = SessionState

    def process(self, output: list[str]) -> SessionState:
        """Read sshd's `client port server port`."""
        words = " ".join(fields(output)).split()
        if not words:
            return SessionState()
        if len(words) != 4 or not all(each.isdigit() and len(each) <= 5 for each in words[1::2]):
            raise UnreadableError("the host told something else than a connection")
        return SessionState(_address(words[0].split("%")[0]), int(words[3]), int(words[1]))


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise UnreadableError("the host told something else than an address") from None


class Controllers(HostFact[list[str]]):
    """Where deploys have come from, the newest last; see signalbox/operations/controllers.py."""

    def command(self) -> Script:
        """Return the command."""
        return asked(sh("cat {}; printf '\\0'", CONTROLLERS))

    default = list

    def process(self, output: list[str]) -> list[str]:
        """Read one address a line."""
        return [_address(line) for each in fields(output) for line in each.split("\n") if line]


class Resolved(HostFact[dict[str, list[str]]]):
    """The addresses that the host's resolver has for each of these names; a name that it does not know has none."""

    def command(self, names: tuple[str, ...]) -> Script:
        """Return the command."""
        each = (
            sh("printf 'name\\0%s\\0' {name}; timeout 5 getent ahosts {name} | head -n 64; printf '\\0'", name=name)
            for name in names
        )
        return asked(each_of(*each), seconds=10 + 5 * len(names))

    default = dict

    def process(self, output: list[str]) -> dict[str, list[str]]:
        """Read a name and its lines, "ADDRESS KIND NAME", a record."""
        found = {}
        for _, name, lines in records(output, {"name": 2}):
            words = [line.split() for line in lines.splitlines()]
            found[name] = list(dict.fromkeys(_address(each[0].partition("%")[0]) for each in words if each))
        return found


class FirewallLoaded(HostFact[bool]):
    """Whether the kernel's table `inet signalbox` is what this file would make of it.

    The file is loaded into a network namespace of its own, so the two listings are made by the same nft. What is in
    named sets (addresses that were looked up) is not compared.
    """

    def command(self, path: str) -> Script:
        """Return the command."""
        show = sh("nft -st list table inet signalbox")
        fresh = sh("unshare --net sh -c {}", str(sh("nft -f {} && {}", path, show)))
        return asked(sh('now=$({}) && [ -n "$now" ] && [ "$now" = "$({})" ] && printf \'yes\\0\'; true', show, fresh))

    default = bool

    def process(self, output: list[str]) -> bool:
        """Return the answer."""
        return fields(output) == ["yes"]


class OpenPorts(HostFact[list[str]]):
    """What the kernel's rules of ours let in by port, such as "tcp/22"; nothing where they are not loaded."""

    def command(self) -> Script:
        """Return the command."""
        return asked(sh("nft -n -s list chain inet signalbox input; printf '\\0'"))

    default = list

    def process(self, output: list[str]) -> list[str]:
        """Read nft's listing."""
        return open_ports("".join(fields(output)))


# What sshd reads, and its directory, where that is newer than what it has loaded.
UNREAD = sh(
    "find /etc/ssh/sshd_config /etc/ssh/sshd_config.d \\( -type d -o -name '*.conf' -o -name sshd_config \\)"
    " -cnewer /run/sshd.pid 2>/dev/null"
)


@dataclass(frozen=True)
class SshdState:
    """changed: configuration files that are newer than what sshd has loaded. effective: `sshd -T` for one login."""

    changed: tuple[str, ...] = ()
    effective: dict[str, str] = field(default_factory=dict)


class Sshd(HostFact[SshdState]):
    """What sshd makes of its files for a login of `user` from `address`, and which of them it has not read yet.

    sshd writes its pid file when it starts and again when it reloads. One that systemd starts for each connection
    has none, and reads the files each time.
    """

    def command(self, user: str, address: str) -> Script:
        """Return the command."""
        match = (
            f"user={user},host={address},addr={address}" if address else f"user={user},host=localhost,addr=127.0.0.1"
        )
        return asked(
            sh(
                "printf 'changed\\0'; [ ! -e /run/sshd.pid ] || {}; printf '\\0effective\\0';"
                " /usr/sbin/sshd -T -C {}; printf '\\0'",
                UNREAD,
                match,
            )
        )

    default = SshdState

    def process(self, output: list[str]) -> SshdState:
        """Read both; a keyword that is there more than once (port) has its values joined."""
        told = values(output, "changed", "effective")
        effective = dict[str, str]()
        for line in filter(None, told.get("effective", "").split("\n")):
            key, _, value = line.partition(" ")
            effective[key] = f"{effective[key]} {value}" if key in effective else value
        return SshdState(tuple(filter(None, told.get("changed", "").split("\n"))), effective)


ELSEWHERE = "192.0.2.1"  # RFC 5737: an address that is nobody's


class SshdPasswords(HostFact[list[str]]):
    """Users with a login shell whom sshd would let in by a password, from `address` or from elsewhere."""

    def command(self, address: str) -> Script:
        """Return the command. Match blocks may say another thing of each user; without any, one answer is all's."""
        return asked(
            sh(
                "cd /etc/ssh; grep -ihsE '^[[:space:]\"]*(match|include)' sshd_config sshd_config.d/*"
                " | grep -qvix 'include /etc/ssh/sshd_config\\.d/\\*\\.conf'; same=$?; said=;"
                " for u in $(getent passwd | awk -F: '$7 !~ /(nologin|false|sync)$/ {{print $1}}'); do for a in {}; do"
                ' [ "$same$said" = 10 ] || [ "$same$said" = 11 ]'
                ' || {{ /usr/sbin/sshd -T -C "user=$u,host=$a,addr=$a"'
                " | grep -Eqx '(passwordauthentication|kbdinteractiveauthentication) yes'; said=$?; }};"
                " if [ $said = 0 ]; then printf '%s\\0' $u; break; fi; done; done",
                list(dict.fromkeys((address or "127.0.0.1", ELSEWHERE))),
            )
        )

    default = list

    def process(self, output: list[str]) -> list[str]:
        """Read the names."""
        return fields(output)


@dataclass(frozen=True)
class KernelSetting:
    """A sysctl as it is, and whether root may set it here."""

    value: str
    writable: bool


class KernelSettings(HostFact[dict[str, KernelSetting]]):
    """Those of the sysctl keys that this kernel has; in a container most are there and not writable."""

    def command(self, keys: tuple[str, ...]) -> Script:
        """Return the command. Not the shell's `read`: dash reads byte by byte, which /proc/sys does not answer."""
        # One look for all: starting a program for each costs more than what it looks at.
        paths = [f"/proc/sys/{key.replace('.', '/')}" for key in keys]
        return asked(
            sh(
                "printf 'values\\0'; grep -s '' {paths} /dev/null; printf '\\0';"
                " for p in {paths}; do [ ! -w $p ] || printf 'writable\\0%s\\0' $p; done",
                paths=paths,
            )
        )

    default = dict

    def process(self, output: list[str]) -> dict[str, KernelSetting]:
        """Read `path:value` lines, and the paths that are writable."""
        told = list(records(output, {"values": 1, "writable": 1}))
        writable = {record[1] for record in told if record[0] == "writable"}
        listed = "".join(record[1] for record in told if record[0] == "values")
        found = {}
        for line in listed.split("\n"):
            path, colon, value = line.partition(":")
            if colon:
                key = path.removeprefix("/proc/sys/").replace("/", ".")
                found[key] = KernelSetting(value.strip(), path in writable)
        return found

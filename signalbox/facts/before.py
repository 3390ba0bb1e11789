"""What a host does for people before we come: who listens there, and which containers root's engine runs.

Perl, as in look.py: a machine that has never been deployed to has it, and may have neither ss nor Python.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from signalbox.shell import Script, each_of, sh
from signalbox.shell.answer import HostFact, UnreadableError, asked, number, records

_SHAPES = {"range": 2, "socket": 5}
# Without single quotes, of which each costs five characters where it is quoted. What a process is called is its
# owner's to choose, and told for people alone; the kernel tells port and user.
_SOCKETS = r"""
use strict; no warnings;
sub slurp { open my $file, "<", $_[0] or return ""; local $/; <$file> // "" }
my (%asked, %owner);
# By a device's ARPHRD_ (linux/if_arp.h): IPIP, IPv6 and GRE, in IPv4 or IPv6.
my %carried = (768, 4, 769, 41, 776, 41, 778, 47, 823, 47);
print join("\0", "range", split " ", slurp "/proc/sys/net/ipv4/ip_local_port_range"), "\0";
for my $device (map m{([^/]+)\z}, glob "/sys/class/net/*") {
    my ($type, $flags) = map { slurp("/sys/class/net/$device/$_") =~ /(\w+)/ } "type", "flags";
    next unless $carried{$type} and 1 & hex $flags;
    my @told = (sprintf("00000000:%04X", $carried{$type}), "root", $device =~ s/[^\w.-]//gr, "");
    print join("\0", "socket", "raw", @told), "\0";
}
for my $kind (qw(tcp tcp6 udp udp6 raw raw6)) {
    for (split /\n/, slurp "/proc/net/$kind") {
        my (undef, $local, $remote, $state, undef, undef, undef, $uid, undef, $inode) = split;
        next unless $local =~ /^[0-9A-F]+:[0-9A-F]{4}\z/ and $remote =~ /:0000\z/;
        next unless $state eq ($kind =~ /tcp/ ? "0A" : "07");
        push @{$asked{$inode}}, [$kind, $local, getpwuid($uid) // $uid];
    }
}
for my $process (sort { $b <=> $a } map m{(\d+)}, glob "/proc/[0-9]*") {
    opendir my $files, "/proc/$process/fd" or next;
    for (readdir $files) {
        my ($inode) = (readlink("/proc/$process/fd/$_") // "") =~ /^socket:\[(\d+)\]\z/ or next;
        $owner{$inode} //= $process if $asked{$inode};
    }
}
for my $inode (sort keys %asked) {
    my ($program, $process) = ("", $owner{$inode});
    if ($process) {
        ($program = slurp "/proc/$process/comm") =~ s/[^\w.:@+-]//g;
        my ($unit) = slurp("/proc/$process/cgroup") =~ m{/([\w.@:-]+\.(?:service|scope))\n*\z};
        $program .= " of $unit" if $unit and $unit =~ /service\z/;
    }
    print join("\0", "socket", @$_, $program, $process ? "process" : ""), "\0" for @{$asked{$inode}};
}
""".strip()
# A shim a container, whichever client began it: it runs on where its engine does not answer, or is stopped.
_CONTAINERS = r"""
use strict; no warnings;
for my $process (glob "/proc/[0-9]*") {
    next unless (stat $process)[4] == 0 and open my $file, "<", "$process/cmdline";
    local $/; my @words = split /\0/, <$file> // "";
    next unless ($words[0] // "") =~ m{(?:^|/)containerd-shim[\w-]*\z};
    my %given = map { $words[$_] => $words[$_ + 1] } 1 .. $#words - 1;
    my ($space, $id) = map { ($given{"-$_"} // "") =~ s/[^\w.-]//gr } "namespace", "id";
    print join("\0", "container", $space, $id), "\0" if length $id;
}
""".strip()


def sockets() -> Script:
    """Return shell that prints a record of each socket that waits for others; see `listeners_of`."""
    return sh("{{ env -i /usr/bin/perl -e {} || printf 'failed\\0'; }}", _SOCKETS)


def containers() -> Script:
    """Return shell that prints a record of each container that root's containerd runs; see `containers_of`."""
    return sh("{{ env -i /usr/bin/perl -e {} || printf 'failed\\0'; }}", _CONTAINERS)


@dataclass(frozen=True)
class Listener:
    """What others can reach. port: "tcp/80", or "ip/112": a protocol of IP's, by its number, which has none.

    program: with its unit, as far as it is known, or a tunnel's device. user: whose socket it is.

    passing: a UDP port from the range that the kernel gives to whoever asks for any: most likely a client's.
    """

    port: str
    user: str
    program: str = ""
    passing: bool = False

    def __str__(self) -> str:
        """Return it for people: `tcp/80 (nginx of nginx.service)`."""
        return f"{self.port} ({self.program or 'a program'}{'' if self.user == 'root' else f', user {self.user}'})"


# What a DHCP client hears: the firewall lets that in.
_DHCP = ("udp/68", "udp/546")
# Raw sockets of ICMP, whose rules are always there; of TCP and UDP, which hear what these let in; and those that only
# send: https://www.iana.org/assignments/protocol-numbers
_NO_SERVICE = ("ip/1", "ip/6", "ip/17", "ip/58", "ip/255")
_IKE, _ESP = "udp/500", "ip/50"  # RFC 7296: what the one agrees on comes as the other


def listeners_of(told: Iterable[Sequence[str]]) -> list[Listener]:
    """Return who listens, by port, one for each port and user; those on the loopback alone are left out.

    Raises:
        UnreadableError: these are no such records.
    """
    found: dict[tuple[str, str], Listener] = {}
    first, last = 32768, 60999
    for tag, *values in told:
        if tag == "range":
            first, last = map(number, values)
            continue
        kind, local, user, program, process = values
        protocol, (address, port) = kind.removesuffix("6").replace("raw", "ip"), _local(local)
        name = f"{protocol}/{port}"
        if protocol not in ("tcp", "udp", "ip") or _is_loopback(address) or address.is_multicast:
            continue
        if name in (*_DHCP, *_NO_SERVICE):
            continue
        # A tunnel of the kernel's own has no process: nobody would ask a client's port to be any there.
        passing = protocol == "udp" and bool(process) and first <= port <= last
        found.setdefault((name, user), Listener(name, user, program, passing))
        if name == _IKE:
            found.setdefault((_ESP, user), Listener(_ESP, user, program))

    def place(each: Listener) -> tuple[bool, str, int, str]:
        protocol, _, number = each.port.partition("/")
        return protocol == "ip", protocol, int(number), each.user

    return sorted(found.values(), key=place)


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _local(text: str) -> tuple[Address, int]:
    """Return address and port of proc_net_tcp(5): words of 32 bits as a little-endian machine has them."""
    try:
        words, port = text.split(":")
        data = bytes.fromhex(words)
        address = b"".join(data[at : at + 4][::-1] for at in range(0, len(data), 4))
        return ipaddress.ip_address(address), int(port, 16)
    except ValueError:
        raise UnreadableError("the host told something else than an address") from None


def _is_loopback(address: Address) -> bool:
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def unheard(found: Iterable[Listener], let_in: Collection[str]) -> list[Listener]:
    """Return those that nobody would reach any more if no more than these ports were let in."""
    return [each for each in found if each.port not in let_in]


class Listeners(HostFact[list[Listener]]):
    """Who waits for others, beyond the loopback."""

    def command(self) -> Script:
        """Return the command."""
        return asked(sockets())

    default = list

    def process(self, output: list[str]) -> list[Listener]:
        """Read the records."""
        return listeners_of(records(output, _SHAPES))


@dataclass(frozen=True)
class EngineState:
    """Root's Docker: units of it that run, and names of the containers of root's containerd that do."""

    running: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()


class RootEngine(HostFact[EngineState]):
    """Whether root's Docker runs, and what in it; a Docker that does not tell names has its containers' ids told."""

    def command(self, units: tuple[str, ...]) -> Script:
        """Return the command."""
        return asked(
            each_of(
                sh("for u in {}; do ! systemctl --quiet is-active $u || printf 'unit\\0%s\\0' $u; done", units),
                containers(),
                sh(
                    "! command -v docker >/dev/null || {{ printf 'names\\0'; timeout 10 env -i PATH=\"$PATH\" docker"
                    " -H unix:///run/docker.sock ps --no-trunc --format '{{{{.ID}}}} {{{{.Names}}}}' | head -c 65536;"
                    " printf '\\0'; }}"
                ),
            )
        )

    default = EngineState

    def process(self, output: list[str]) -> EngineState:
        """Read the records."""
        units, ids, names = [], [], dict[str, str]()
        for tag, *values in records(output, {"unit": 1, "container": 2, "names": 1}):
            if tag == "unit":
                units.append(values[0])
            elif tag == "container":
                ids.append((values[0], values[1]))
            else:
                found = re.findall(r"^([0-9a-f]{64}) ([\w.,/-]+)$", values[0], re.ASCII | re.MULTILINE)
                names |= dict(found)
        told = {names.get(ident) or f"{ident[:12]} of {space or 'containerd'}" for space, ident in ids}
        return EngineState(tuple(units), tuple(sorted(told)))

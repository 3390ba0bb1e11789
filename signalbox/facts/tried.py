"""Rules tried before they hold: packets come by a device of a network namespace of its own, and the kernel judges.

The namespace, its devices and its rules end with the one process that is in it, however that ends.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from signalbox.shell import Script, sh
from signalbox.shell.answer import HostFact, asked, fields

SECONDS = 10
MAX_ADDRESSES = 256
# What came in, before any rule has judged it, and what is left of that behind all rules.
_SEEN = """
table inet tried {
    set sent4 { type ipv4_addr; flags dynamic; size 1024; }
    set sent6 { type ipv6_addr; flags dynamic; size 1024; }
    set heard4 { type ipv4_addr; flags dynamic; size 1024; }
    set heard6 { type ipv6_addr; flags dynamic; size 1024; }
    chain before {
        type filter hook prerouting priority -500;
        tcp flags syn add @sent4 { ip saddr }
        tcp flags syn add @sent6 { ip6 saddr }
    }
    chain behind {
        type filter hook input priority 500;
        tcp flags syn add @heard4 { ip saddr }
        tcp flags syn add @heard6 { ip6 saddr }
    }
}
"""
# RFC 7600 and RFC 6666: addresses that are nobody's. Without single quotes, as in before.py.
_SEND = r"""
use strict; no warnings;
use Socket qw(inet_pton AF_INET AF_INET6);
my ($ways, @ports) = @ARGV;
my %way = map { /^(?:\w+ )?([0-9a-f.:]+) .*?\bdev (\S+)/ ? ($1, $2) : () } split /\n/, $ways;
my ($here, $here6, $ready, %device, @sent) = ("192.0.0.8", "100::1", 0);
sub quietly { system { $_[0] } @_ }
sub sum { my $sum = 0; $sum += $_ for unpack "n*", $_[0]; $sum = ($sum & 65535) + ($sum >> 16) for 1, 2; ~$sum & 65535 }
for my $kind ("all", "default") { open my $file, ">", "/proc/sys/net/ipv4/conf/$kind/rp_filter" or next; print $file 0 }
quietly("ip", "link", "set", "lo", "up");
for my $name (values %way) {
    next if $name eq "lo" or exists $device{$name};
    open $device{$name}, "+<", "/dev/net/tun" or next;
    ioctl $device{$name}, 0x400454ca, pack "Z16 S x22", $name, 0x1001 or next; # TUNSETIFF: IFF_TUN, IFF_NO_PI
    quietly("ip", "link", "set", $name, "up");
    quietly("ip", "address", "add", "$here/32", "dev", $name);
    $ready++ unless quietly("ip", "address", "add", "$here6/128", "dev", $name, "nodad");
}
# A busy kernel makes an IPv6 address usable some time after it was added.
for (1 .. 40) {
    last if $ready <= (() = qx(ip -6 route show table local) =~ /^local $here6 /mg);
    select undef, undef, undef, 0.05;
}
for my $address (keys %way) {
    if ($way{$address} eq "lo") { print "own $address\n"; next }
    for my $port (@ports) {
        my $syn = sub { pack "n n N N n n n n", 40000, $port, 1, 0, 0x5002, 1024, $_[0], 0 };
        my $packet;
        if (my $from = inet_pton(AF_INET, $address)) {
            my $to = inet_pton(AF_INET, $here);
            my $head = sub { pack "C C n n n C C n a4 a4", 69, 0, 40, 1, 0, 64, 6, $_[0], $from, $to };
            $packet = $head->(sum($head->(0))) . $syn->(sum($from . $to . pack("n n", 6, 20) . $syn->(0)));
        } elsif ($from = inet_pton(AF_INET6, $address)) {
            my $to = inet_pton(AF_INET6, $here6);
            $packet = pack("N n C C a16 a16", 6 << 28, 20, 6, 64, $from, $to)
                . $syn->(sum($from . $to . pack("N N", 20, 6) . $syn->(0)));
        }
        syswrite $device{$way{$address}}, $packet;
        push @sent, $address;
    }
}
# A busy kernel takes its time with them: until all have come in, nothing says who got through.
for (1 .. 20) {
    my $told = join "", map { qx(nft list set inet tried $_) } "sent4", "sent6";
    select undef, undef, undef, 0.1;
    last unless grep { index($told, $_) < 0 } @sent;
}
""".strip()
_OWN = re.compile(r"^own (\S+)$", re.MULTILINE)
_SET = re.compile(r"set (heard|sent)[46] \{[^}]*?elements = \{([^}]*)\}")


class Heard(HostFact[dict[str, bool]]):
    """Whether who comes by TCP from each address gets through these rules to one of these ports.

    Each comes by the device by which it is answered now. An address that could not be tried is left out, as are all
    where nft or /dev/net/tun is missing, and those after MAX_ADDRESSES.
    """

    def command(self, rules: str, addresses: Sequence[str], ports: Sequence[int]) -> Script:
        """Return the command."""
        # What was heard is told first: an answer that breaks off calls nothing unheard.
        within = sh(
            'printf %s {} | nft -f - && env -i PATH="$PATH" /usr/bin/perl -e {} "$1" {}'
            " && for s in heard4 heard6 sent4 sent6; do nft list set inet tried $s || break; done",
            rules + _SEEN,
            _SEND,
            list(map(str, ports)),
        )
        routes = "".join(f"route get {each}\n" for each in addresses[:MAX_ADDRESSES])
        return asked(
            sh(
                "ways=$(printf %s {} | ip -o -force -batch -); "
                "timeout -k 1 {} unshare --net sh -c {} - \"$ways\"; printf '\\0'",
                routes,
                SECONDS,
                str(within),
            )
        )

    default = dict

    def process(self, output: list[str]) -> dict[str, bool]:
        """Read the sets; only what was seen to come in has been judged."""
        told = "".join(fields(output))
        found: dict[str, set[str]] = {"heard": set(_OWN.findall(told)), "sent": set(_OWN.findall(told))}
        for kind, elements in _SET.findall(told):
            found[kind].update(filter(None, re.split(r"[,\s]+", elements)))
        return {address: address in found["heard"] for address in found["sent"]}

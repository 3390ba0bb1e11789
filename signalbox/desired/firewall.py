"""Pure: the networks that settings name, and the firewall's rules made of them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

RULES = "/etc/signalbox/firewall.nft"
TABLE = "signalbox"
TRIAL = "signalbox_trial"  # the same rules, for as long as logins prove them
# Drop-ins of Debian's own unit, which flushes every table.
NFTABLES = "/etc/systemd/system/nftables.service.d"
ANY = "any"
LAN = "lan"
CONTROLLER = "controller"
SENDERS = "@senders@"  # where a file of rules wants the user ids that are held: what they are, the host knows
TAILNET = ("100.64.0.0/10", "fd7a:115c:a1e0::/48")
SHARED = ("100.64.0.0/10",)  # RFC 6598: on a device that is no tunnel, a provider's customers have it together
# Private and link-local addresses: RFC 1918, RFC 3927, RFC 4193, RFC 4291 2.5.6.
_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")


def resolved(names: Iterable[str], attached: Sequence[str]) -> list[str] | None:
    """Return the networks of `names`, collapsed and sorted, as CIDR; None means every address ("any").

    Args:
        names: networks or addresses, "lan" (all private addresses and `attached`) or "any".
        attached: the networks of one's own that the host itself is in; a public one that it shares is none.
    """
    found: set[Network] = set()
    for name in names:
        if name == ANY:
            return None
        meant = (*_PRIVATE, *attached) if name == LAN else (name,)
        found.update(map(ipaddress.ip_network, meant))
    four = ipaddress.collapse_addresses(each for each in found if isinstance(each, ipaddress.IPv4Network))
    six = ipaddress.collapse_addresses(each for each in found if isinstance(each, ipaddress.IPv6Network))
    return [*map(str, four), *map(str, six)]


def is_own(address: str, attached: Sequence[str]) -> bool:
    """Tell whether an address is on a network of one's own: private, of this machine, a tailnet's, or attached.

    attached: the networks that the host itself is in. Tailscale gives RFC 6598's.
    """
    found = ipaddress.ip_address(address)
    found = getattr(found, "ipv4_mapped", None) or found
    return found.is_private or contains([*TAILNET, *attached], str(found))


def contains(networks: Sequence[str] | None, address: str) -> bool:
    """Tell whether `address` is in one of the `networks`; None holds every address."""
    if networks is None:
        return True
    wanted = ipaddress.ip_address(address)
    return any(wanted in ipaddress.ip_network(each) for each in networks)


def accepting(
    networks: Sequence[str] | None,
    protocol: str,
    ports: Sequence[int],
    interfaces: Sequence[str] = (),
    side: Literal["saddr", "daddr"] = "saddr",
) -> list[str]:
    """Return the nftables rules that let `networks` (None: all) reach these ports, by these interfaces if any.

    protocol: "ip": the ports are numbers of IP's own protocols. side: "daddr": the networks are what is reached.
    """
    what = "meta l4proto" if protocol == "ip" else f"{protocol} dport"
    of_ports = f"{what} {{ {', '.join(map(str, ports))} }}"
    names = ", ".join(f'"{each}"' for each in interfaces)
    by = f"iifname {{ {names} }} " if interfaces else ""
    if networks is None:
        return [f"{by}{of_ports} accept"]
    rules = []
    for family, inside in (("ip", [n for n in networks if ":" not in n]), ("ip6", [n for n in networks if ":" in n])):
        if inside:
            rules.append(f"{by}{family} {side} {{ {', '.join(inside)} }} {of_ports} accept")
    return rules


def input_rules(
    ssh: Sequence[str] | None,
    ssh_ports: Sequence[int],
    interfaces: Sequence[str],
    others: Mapping[str, Sequence[str] | None],
) -> list[str]:
    """Return the rules of the input chain: SSH, then `others` ("tcp/8080" or "ip/112": networks, or None for all)."""
    rules = accepting(ssh, "tcp", ssh_ports, interfaces)
    for name, networks in others.items():
        protocol, port = name.split("/")
        rules += accepting(networks, protocol, [int(port)])
    return rules


def of_session(address: str, source: int, port: int) -> str:
    """Return what matches the packets of one SSH connection that come in."""
    return f"ip{'6' if ':' in address else ''} saddr {address} tcp sport {source} tcp dport {port}"


def open_ports(rules: str) -> list[str]:
    """Return what a ruleset's input chain lets in by port, such as "tcp/8080", from a file of ours or nft's listing."""
    chain = re.search(r"chain input \{\n(.*?)\n\s*\}", rules, re.DOTALL)
    found = []
    for line in chain[1].splitlines() if chain else ():
        rule = re.search(r"\b(tcp dport|udp dport|meta l4proto) (\{[\d, ]+\}|\d+) accept", line)
        if rule and "sport" not in line:  # that would be an answer to what the host asked
            protocol = rule[1].removesuffix(" dport").replace("meta l4proto", "ip")
            found += [f"{protocol}/{port}" for port in re.findall(r"\d+", rule[2])]
    return found


def id_set(ids: Iterable[range]) -> str:
    """Return these ids as an anonymous set of nftables; ranges that meet are joined, which nft wants."""
    joined: list[range] = []
    for each in sorted((each for each in ids if each), key=lambda each: each.start):
        if joined and each.start <= joined[-1].stop:
            joined[-1] = range(joined[-1].start, max(joined[-1].stop, each.stop))
        else:
            joined.append(each)
    words = [f"{each.start}-{each.stop - 1}" if len(each) > 1 else f"{each.start}" for each in joined]
    return f"{{ {', '.join(words)} }}"


def output_rules(
    addresses: Iterable[str], allowed: Mapping[str, Sequence[str]], attached: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return the rules of the egress chain, and what the host must look up itself, each as "tcp 443 NAME".

    Args:
        addresses: "host:port" over TCP.
        allowed: more: "tcp/443": names, networks, "lan" or "any".
        attached: the networks that the host itself is in.
    """
    wanted: dict[str, list[str]] = {}
    for address in addresses:
        name, _, port = address.rpartition(":")
        wanted.setdefault(f"tcp/{port}", []).append(name.strip("[]"))
    for key, names in allowed.items():
        wanted.setdefault(key, []).extend(names)
    rules, lookups = [], []
    for key, names in wanted.items():
        protocol, port = key.split("/")
        networks = [each for each in names if _is_network(each)]
        rules += accepting(resolved(networks, attached), protocol, [int(port)], side="daddr")
        lookups += [f"{protocol} {port} {each}" for each in names if not _is_network(each)]
    return list(dict.fromkeys(rules)), list(dict.fromkeys(lookups))


def _is_network(name: str) -> bool:
    try:
        ipaddress.ip_network(name)
    except ValueError:
        return name in (ANY, LAN)
    return True

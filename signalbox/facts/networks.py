"""The networks that the host is attached to: those of one's own, and those that it shares with strangers."""

from __future__ import annotations

import ipaddress
from typing import Any

from signalbox.desired.firewall import SHARED, TAILNET, contains
from signalbox.shell import Script, sh
from signalbox.shell.answer import HostFact, UnreadableError, asked, fields
from signalbox.untrusted import json_of

MAX_ROUTES = 512 * 1024  # bytes of JSON


class Networks(HostFact[list[str]]):
    """The networks of one's own that the host is attached to, as CIDR: private ones, tunnels' and tailnets.

    Not a public network that it shares with strangers (see `SharedNetworks`), nor those without a carrier.
    """

    own = True

    def command(self) -> Script:
        """Return the command."""
        # IPv6 routes have no scope; those of the kernel that have no gateway are on-link.
        return asked(
            sh(
                "ip -j -4 route show scope link proto kernel; printf '\\0';"
                " ip -j -6 route show proto kernel; printf '\\0';"
                " ip -j address show up; printf '\\0'"
            )
        )

    default = list

    def process(self, output: list[str]) -> list[str]:
        """Read two JSON arrays of routes, and one of devices with their addresses."""
        told = [_objects(text) for text in fields(output)]
        devices = told[2] if len(told) > 2 else []
        found = set[str]()
        try:
            tunnels, homes = _tunnels(devices), _homes(devices)
            for route in (route for routes in told[:2] for route in routes):
                network = route.get("dst", "") if "gateway" not in route else ""
                if "/" not in network or "linkdown" in route.get("flags", []) or network.startswith("fe80:"):
                    continue
                trusted = tunnels if ":" not in network else tunnels | homes
                if (_is_private(network) or route.get("dev") in trusted) is self.own:
                    found.add(str(ipaddress.ip_network(network)))
            if self.own:  # a tailnet's routes are in a table of its own
                addresses = [each for device in devices if device.get("ifname") in tunnels for each in _of(device)]
                found |= {network for network in TAILNET for each in addresses if contains([network], each)}
        except (ValueError, AttributeError, TypeError):
            raise UnreadableError("the host told something else than its networks") from None
        return sorted(found)


def _is_private(network: str) -> bool:
    return not ipaddress.ip_network(network).is_global and not contains(SHARED, network.partition("/")[0])


def _of(device: dict[str, Any]) -> list[str]:
    """Return the addresses of a device."""
    return [str(each["local"]) for each in device.get("addr_info") or () if "local" in each]


def _tunnels(devices: list[dict[str, Any]]) -> set[str]:
    """Return the devices that have another end, and no neighbours."""
    return {str(each.get("ifname")) for each in devices if "POINTOPOINT" in (each.get("flags") or ())}


def _homes(devices: list[dict[str, Any]]) -> set[str]:
    """Return the devices with private IPv4 addresses alone: what is public there, in IPv6, is one home's or firm's."""
    four = {str(each.get("ifname")): [a for a in _of(each) if ":" not in a] for each in devices}
    return {name for name, addresses in four.items() if addresses and all(map(_is_private, addresses))}


class SharedNetworks(Networks):
    """The public networks that the host is attached to, and shares with strangers."""

    own = False


def _objects(text: str) -> list[dict[str, Any]]:
    """Return the objects of a JSON array, [] for nothing."""
    if not text.strip():
        return []
    try:
        found = json_of(text, max_bytes=MAX_ROUTES)
    except ValueError:
        raise UnreadableError("the host told something else than its networks") from None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise UnreadableError("the host told something else than its networks")
    return found

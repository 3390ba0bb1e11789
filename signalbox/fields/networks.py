"""Networks, ports and interfaces, as a firewall takes them."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator

from signalbox.fields.checks import PLACEHOLDER, between, matching
from signalbox.fields.messages import show


def _network(value: str) -> str:
    if value in ("lan", "any") or PLACEHOLDER.search(value):
        return value
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        pass
    try:
        right = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(
            f'{show(value)} is no network; write "lan", "any", or one such as "192.168.1.0/24" or "2001:db8::/32"'
        ) from None
    raise ValueError(f"{show(value)} has bits set behind its prefix; write {show(str(right))}")


def _spared(value: str) -> str:
    if value == "any":
        raise ValueError('"any" would spare every address; write networks, "lan" or "controller"')
    return value if value == "controller" else _network(value)


def _destination(value: str) -> str:
    # RFC 1123, 2.1; a name of digits and dots alone would be an address.
    if re.fullmatch(r"(?=.*[A-Za-z])[A-Za-z0-9]([\w-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([\w-]*[A-Za-z0-9])?)*", value):
        return value
    try:
        return _network(value)
    except ValueError as error:
        raise ValueError(str(error).replace("is no network", "is neither a host's name nor a network")) from None


def _port(value: str) -> str:
    found = re.fullmatch(r"(tcp|udp)/(\d{1,5})", value)
    if not found or not 1 <= int(found[2]) <= 65535:
        raise ValueError(f'{show(value)} is no port; write one such as "tcp/8080"')
    return value


def _opened(value: str) -> str:
    if value.startswith("ip/"):
        # What has ports is opened by these, and the rules of ICMP are always there.
        if re.fullmatch(r"ip/(?!0)\d{1,3}", value) and int(value[3:]) < 255 and value[3:] not in ("1", "6", "17", "58"):
            return value
        raise ValueError(f'{show(value)} is no protocol without ports; write its number, such as "ip/112" for VRRP')
    return _port(value)


def _shut(value: str) -> str:
    return _opened(value) if re.match(r"[a-z]+/", value) else _network(value)


NetworkName = Annotated[str, AfterValidator(_network)]
SparedName = Annotated[str, AfterValidator(_spared)]
Destination = Annotated[str, AfterValidator(_destination)]
ReachedPort = Annotated[str, AfterValidator(_port)]
OpenedPort = Annotated[str, AfterValidator(_opened)]
Shut = Annotated[str, AfterValidator(_shut)]
AnyPort = Annotated[int, between(1, 65535, "a port")]
Interface = Annotated[str, matching(r"[A-Za-z0-9][\w.@-]{0,14}", "an interface's name", 'one such as "eth0"')]

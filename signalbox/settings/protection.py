"""The sections that keep others out and the owner in, typed: guard, firewall, ssh, fail2ban, hardening."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator

from signalbox.settings.fields import PLACEHOLDER, Package, between, matching
from signalbox.settings.problems import show
from signalbox.settings.sections import Seconds, Section


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
# sshd_config(5), PATTERNS, and user@host.
Login = Annotated[str, matching(r"[a-z_*?][\w.*?-]*(@[\w.:*?/-]+)?", "a user", 'one such as "claude"')]
Line = Annotated[str, matching(r"[^\s#][^\n\0]*", "a line of sshd_config", 'one such as "Match User backup"')]


SysctlKey = Annotated[str, matching(r"[a-z][\w-]*(\.[\w-]+)+", "a sysctl key", 'one such as "net.ipv4.tcp_syncookies"')]
Module = Annotated[str, matching(r"[a-z0-9][\w-]*", "a kernel module", 'one such as "dccp"')]
TimeOfDay = Annotated[str, matching(r"([01]\d|2[0-3]):[0-5]\d", "a time of day", 'one such as "04:30"')]


class Guard(Section):
    """The host's own way back from a change that locks its owner out."""

    enabled: bool
    armed_seconds: Annotated[int, between(10, 3600, "seconds")]
    login_seconds: Annotated[int, between(2, 60, "seconds")]


class Egress(Section):
    """What the service user may reach; `allow` is more than what other settings name."""

    enabled: bool
    allow: dict[ReachedPort, list[Destination]]


class Firewall(Section):
    """What may come in, and what the service user may send out."""

    enabled: bool
    ssh_from: list[NetworkName]
    ssh_ports: list[AnyPort]
    ssh_interfaces: list[Interface]
    open: dict[OpenedPort, list[NetworkName]]
    shut: list[Shut]
    egress: Egress


class Ssh(Section):
    """sshd's drop-in."""

    enabled: bool
    root_login: Literal["key", "no"]
    password_login: bool
    password_users: list[Login]
    classic_kex: bool
    allow_users: list[Login]
    max_auth_tries: Annotated[int, between(1, 20, "tries")]
    tcp_forwarding: bool
    unpunished: list[SparedName]
    extra: list[Line]


class Fail2ban(Section):
    """Who fails to log in too often is banned; times in seconds."""

    enabled: bool
    ignored: list[SparedName]
    max_failures: Annotated[int, between(1, 100, "failures")]
    find_seconds: Seconds
    ban_seconds: Seconds
    longest_ban_seconds: Annotated[int, between(1, 365 * 86400, "seconds")]


class Hardening(Section):
    """The system itself."""

    enabled: bool
    packages: list[Package]
    sysctl: dict[SysctlKey, int]
    blocked_modules: list[Module]
    banner: str | None
    reboot_at: TimeOfDay | None

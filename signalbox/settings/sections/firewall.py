"""The section `firewall`."""

from __future__ import annotations

from signalbox.fields.networks import AnyPort, Destination, Interface, NetworkName, OpenedPort, ReachedPort, Shut
from signalbox.fields.section import Section


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

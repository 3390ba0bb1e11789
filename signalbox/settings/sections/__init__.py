"""The sections of group_data/all.py, typed; each has a module of its name here.

Declared in this one place: what a section's line says is how it is validated. A section of records (`dict[str, …]`) has
each filled from its defaults in `defaults`. The models hold no default: group_data/all.py does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_type_hints

from signalbox.backends.records import Backend, Cloud
from signalbox.fields.keys import CaCertificate
from signalbox.fields.system import Package
from signalbox.settings.sections.base import Base
from signalbox.settings.sections.budgets import Budgets
from signalbox.settings.sections.by_hand import ByHand
from signalbox.settings.sections.connection import Connection
from signalbox.settings.sections.doctor import Doctor
from signalbox.settings.sections.fail2ban import Fail2ban
from signalbox.settings.sections.firewall import Firewall
from signalbox.settings.sections.gateway import Gateway
from signalbox.settings.sections.guard import Guard
from signalbox.settings.sections.hardening import Hardening
from signalbox.settings.sections.lanes import Lane
from signalbox.settings.sections.launchers import Launchers
from signalbox.settings.sections.leftovers import Leftovers
from signalbox.settings.sections.lock import Lock
from signalbox.settings.sections.mirrors import Mirrors
from signalbox.settings.sections.model_server import ModelServer
from signalbox.settings.sections.pins import Pins
from signalbox.settings.sections.preflight import Preflight
from signalbox.settings.sections.remove import Remove
from signalbox.settings.sections.rootless_docker import RootlessDocker
from signalbox.settings.sections.secrets import Secrets
from signalbox.settings.sections.service_user import ServiceUser
from signalbox.settings.sections.sessions import Sessions
from signalbox.settings.sections.ssh import Ssh
from signalbox.settings.sections.toolchain import Toolchain


@dataclass(frozen=True)
class Sections:
    """The sections of the host named `host`, one attribute each; `groups`: those the host is in, the lowest first."""

    host: str
    groups: list[str]
    connection: Connection
    mirrors: Mirrors
    replaces: list[Package]
    extra_ca_certificates: list[CaCertificate]  # PEM text
    pins: Pins
    preflight: Preflight
    base: Base
    service_user: ServiceUser
    guard: Guard
    firewall: Firewall
    ssh: Ssh
    fail2ban: Fail2ban
    hardening: Hardening
    rootless_docker: RootlessDocker
    by_hand: ByHand
    toolchain: Toolchain
    secrets: Secrets
    model_server: ModelServer
    gateway: Gateway
    backends: dict[str, Backend]
    clouds: dict[str, Cloud]
    lanes: dict[str, Lane]
    budgets: Budgets
    sessions: Sessions
    launchers: Launchers
    doctor: Doctor
    leftovers: Leftovers
    lock: Lock
    remove: Remove


# How each is validated, in the order of the attributes.
KINDS: dict[str, Any] = {
    name: kind for name, kind in get_type_hints(Sections, include_extras=True).items() if name not in ("host", "groups")
}
SECTION_NAMES = tuple(KINDS)

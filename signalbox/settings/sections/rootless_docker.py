"""The section `rootless_docker`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator

from signalbox.fields.section import Section
from signalbox.fields.urls import WebUrl

# What daemon.json has for other reasons.
DAEMON_KEYS = {
    "registry-mirrors": "rootless_docker.registry_mirrors",
    "host-gateway-ip": "rootless_docker.host_loopback",
}


class RootlessDocker(Section):
    """Docker of unprivileged users."""

    enabled: bool
    service_user: bool
    replaces_root: bool
    source: Literal["debian", "docker"]
    host_loopback: bool
    registry_mirrors: list[WebUrl]
    daemon: dict[str, Any]

    @field_validator("daemon")
    @classmethod
    def _not_what_has_a_setting(cls, daemon: dict[str, Any]) -> dict[str, Any]:
        if ours := sorted(daemon.keys() & DAEMON_KEYS.keys()):
            raise ValueError(f"holds {ours[0]}; use {DAEMON_KEYS[ours[0]]}")
        return daemon

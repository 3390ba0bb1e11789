"""Another key for the gateway: of `signalbox secrets rotate-gateway-key`."""

from __future__ import annotations

from pyinfra import host

from signalbox.settings import settings_for

from ..secrets import rotated_gateway_key


def run() -> None:
    """Give the gateway of the host that pyinfra works on a new key."""
    s = settings_for(host)
    rotated_gateway_key(s.secrets, s.gateway_account, s.service_account, s.gateway.port, **s.privileges())

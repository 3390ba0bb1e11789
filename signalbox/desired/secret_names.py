"""Which secrets settings ask for, by their names. Pure; no value of any."""

from __future__ import annotations

from signalbox.backends import kind_of
from signalbox.backends.kind import REFERENCE
from signalbox.desired.routing import Routing, routing_table
from signalbox.settings import Settings


def gateway_secrets(settings: Settings, routing: Routing) -> list[str]:
    """Return the secrets that the gateway needs, sorted; its own key is not among them."""
    params = (kind_of(record).litellm_params(record, model) for record, model in routing.deployments)
    values = (value for each in params for value in each.values() if isinstance(value, str))
    clients = {client.secret for client in settings.gateway.clients.values() if settings.gateway.enabled}
    return sorted({value.removeprefix(REFERENCE) for value in values if value.startswith(REFERENCE)} | clients)


def lane_secrets(settings: Settings) -> list[str]:
    """Return the secrets that lanes use without the gateway, sorted: the service user holds those."""
    credentials = {lane.credential for lane in settings.lanes.values() if lane.enabled}
    return sorted(credentials - {"gateway", "none"})


def all_secrets(settings: Settings) -> list[str]:
    """Return the secrets without which a host cannot be deployed to, each once."""
    own = [settings.connection.sudo_password, settings.service_user.password]
    own += [settings.model_server.api_key] if settings.model_server.enabled else []
    names = (*gateway_secrets(settings, routing_table(settings)), *lane_secrets(settings), *own)
    return list(dict.fromkeys(name for name in names if name))

"""What the group `model_hosts` means for settings: a model host's own sections, and the backends of all others.

Works on data as it was given, valid or not: what is wrong in it is told where it stands, by the host it is of.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

GROUP = "model_hosts"
# What an agent needs, and a host that serves models alone does not have.
_AGENTS = ("service_user", "rootless_docker", "by_hand", "toolchain", "secrets", "gateway", "launchers")
_RECORDS = ("backends", "clouds", "lanes")

Data = Mapping[str, Any]


def own(data: Data, agents: list[str]) -> dict[str, Any]:
    """Return the settings of a model host that come of its group: below its own, above those of all hosts.

    Args:
        data: its settings, merged without these.
        agents: where the agents' hosts of the inventory come from.
    """
    given = _section(data, "model_server")
    result: dict[str, Any] = {"model_server": {"enabled": True}}
    if (port := given.get("port")) and given.get("enabled") is not True:
        clients = given.get("clients")
        result["firewall"] = {"open": {f"tcp/{port}": clients if isinstance(clients, list) else _networks(agents)}}
    if given.get("alone") is False:
        return result
    result |= {section: {"enabled": False} for section in _AGENTS}
    result |= {section: {name: {"enabled": False} for name in _section(data, section)} for section in _RECORDS}
    return {**result, "doctor": {"every_minutes": None}}


def backend(name: str, data: Data, address: str) -> dict[str, dict[str, Any]]:
    """Return the backend, by its name, that a model host is for all others; {} where it serves nothing.

    Args:
        name: the host's. data: its settings, merged.
        address: where the inventory reaches it.
    """
    given = _section(data, "model_server")
    served = {
        model: {
            "id": model,
            **{key: told.get(key, _default(data, key)) for key in ("context_length", "max_output_tokens", "aliases")},
        }
        for model, told in _section(given, "models").items()
        if isinstance(told, Mapping)
    }
    if not served:
        return {}
    record = {
        "kind": given.get("kind"),
        "url": f"http://{given.get('address') or address}:{given.get('port')}",
        "token": given.get("api_key"),
        "models": served,
    }
    return {re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-") or "models": record}


def _default(data: Data, key: str) -> Any:
    return _section(_section(data, "defaults"), "served_model").get(key)


def _networks(agents: list[str]) -> list[str]:
    """The agents' hosts for the firewall, which knows addresses alone; one's own networks where one has a name."""
    try:
        return [str(ipaddress.ip_address(each)) for each in agents] or ["lan"]
    except ValueError:
        return ["lan"]


def _section(data: Any, name: str) -> Data:
    found = data.get(name) if isinstance(data, Mapping) else None
    return found if isinstance(found, Mapping) else {}

"""Names that belong to pyinfra in inventory data."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points


@cache
def pyinfra_keys() -> frozenset[str]:
    """The data that pyinfra's connectors take: ssh_user, ssh_port, docker_identifier, fake_responses, …"""
    return frozenset(
        key
        for entry in entry_points(group="pyinfra.connectors")
        if not entry.value.startswith("signalbox.")  # ours takes none, and may be what imports this
        for key in getattr(entry.load(), "data_meta", {})
    )

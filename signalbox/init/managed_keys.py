"""Which settings the answers own: other answers replace them, and what else a person has written beside them stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from signalbox.backends import BACKENDS
from signalbox.init import clouds
from signalbox.settings.layers import defaults

Data = dict[str, Any]
# None: this value, whole.
Owned = Mapping[str, "Owned | None"]

(SHIPPED_BACKEND,) = defaults()["backends"]
MIRRORS = ("debian", "debian_security", "mise", "node", "npm", "litellm")  # those that are asked for
_LANES = ("routed", "local", "local-private", "cloud")

HOST: Owned = {
    "ssh_port": None,
    "ssh_user": None,
    "ssh_key": None,
    "connection": {"host_key": None, "sudo": None, "sudo_password": None},
    "firewall": {"ssh_ports": None},
    "service_user": {"authorized_keys": None},
}


def of_group(data: Mapping[str, Any]) -> Owned:
    """Return what the answers own of a group's settings.

    Of backends that is the one that they asked for: the shipped one or, where that is off, the first of the other
    kinds. Those that a person has written beside it stay.
    """
    backends = data.get("backends") or {}
    others = [backend_name(kind) for kind in BACKENDS if backend_name(kind) != SHIPPED_BACKEND]
    chosen = [SHIPPED_BACKEND]
    if (backends.get(SHIPPED_BACKEND) or {}).get("enabled") is False:
        chosen += [name for name in backends if name in others][:1]
    return {
        "mirrors": dict.fromkeys(MIRRORS),
        "extra_ca_certificates": None,
        "service_user": {"name": None},
        "secrets": {"source": None, "key": None},
        "backends": dict.fromkeys(chosen),
        "clouds": {name: dict.fromkeys(("enabled", "url", "resource", "models")) for name in clouds.SHIPPED},
        "gateway": {"fallbacks": None},
        "lanes": {
            **dict.fromkeys(clouds.FOLLOWING),
            **{name: dict.fromkeys(("enabled", "models", "credential", "billed")) for name in _LANES},
        },
    }


def backend_name(kind: str) -> str:
    """Return the name of the record of a backend of this kind."""
    return kind.replace("_", "")


def without(data: Mapping[str, Any], owned: Owned) -> Data:
    """Return `data` without what is owned, and without sections that are empty then."""
    left: Data = {}
    for key, value in data.items():
        ours = owned.get(key, {})
        if ours is None:
            continue
        if ours and isinstance(value, Mapping):
            value = without(value, ours)
            if not value:
                continue
        left[key] = value
    return left

"""Settings that a person could have written, complete and valid; checksums are of nothing."""

from __future__ import annotations

from typing import Any

from signalbox.desired.routing import Routing, routing_table
from signalbox.settings import Settings
from signalbox.settings.layers import defaults

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUXzz09ulwiSQWk1LKe2FQJ5hdR36lhvQ1S3sEwT0dd test"
_INTEGRITY = f"sha512-{'A' * 86}=="

GOOD: dict[str, Any] = {
    "service_user": {"authorized_keys": [KEY]},
    "backends": {
        "lmstudio": {"url": "http://192.168.1.20:1234", "models": {"local": {"id": "qwen/qwen3.6-35b-a3b"}}},
    },
    "pins": {
        "mise": {"sha256": {"amd64": "a" * 64}},
        "node": {"sha256": {"amd64": "b" * 64}},
        "claude_code": {"integrity": {"package": _INTEGRITY, "amd64": _INTEGRITY}},
        "litellm": {"digest": f"sha256:{'c' * 64}"},
    },
}


def layers(*data: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The shipped defaults, the good settings, and `data` over them, as layers."""
    return [("group_data/all.py", defaults()), ("all", GOOD), *(("host", each) for each in data)]


def routed(settings: Settings) -> tuple[Settings, Routing]:
    """Return settings with the routing table that is made of them: what much in `desired` is handed."""
    return settings, routing_table(settings)

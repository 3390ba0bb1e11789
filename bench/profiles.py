"""Settings of further hosts that race, over the lab's: frozen, so that figures of different years can be compared."""

from __future__ import annotations

from typing import Any

_OFF = {"enabled": False}
_HARDENING = dict.fromkeys(("guard", "firewall", "ssh", "fail2ban", "hardening"), _OFF)

PROFILES: dict[str, dict[str, Any]] = {
    # What the first guide sets up by hand, and nothing else: one user, a plain file of secrets, two launchers.
    "guide1": {
        **_HARDENING,
        "by_hand": _OFF,
        "doctor": _OFF,
        "secrets": {"on_host": "plain"},
        "gateway": {"user": None},
        "lanes": {"local-private": _OFF, "cloud": _OFF, "api": _OFF},
    },
    # What a host has that is reached and kept safe, before Claude Code comes.
    "base": {
        **dict.fromkeys(("rootless_docker", "toolchain", "secrets", "gateway", "launchers", "doctor", "by_hand"), _OFF),
    },
}

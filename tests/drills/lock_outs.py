"""Changes of the settings that would lock their owner out, and the logins that must work all the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.drills import looks
from tests.drills.stage import HOST

NO_SSH = {"firewall": {"ssh_ports": [2222]}}
NOBODY = {"ssh": {"extra": ["DenyUsers root claude"]}}
FIREWALL = "Firewall | the firewall is as the settings say, and logins are proven"
KERNEL = "Hardening | the kernel's settings are in effect, as far as it has them, and for every boot"
SSHD = "SSH | sshd is configured as the settings say, and logins are proven"


@dataclass(frozen=True)
class LockOut:
    """One change. settings: what makes it. operation: what the plan calls it. says: words of the failing deploy."""

    title: str
    settings: Mapping[str, Any]
    operation: str
    says: str


def _sshd(title: str, *lines: str, says: str) -> LockOut:
    return LockOut(title, {"ssh": {"extra": list(lines)}}, SSHD, says)


LOCK_OUTS = {
    "no-ssh": LockOut("a ruleset without SSH", NO_SSH, FIREWALL, "which firewall.ssh_ports does not list"),
    "wrong-lan": LockOut(
        "SSH from a LAN that is not ours",
        {"firewall": {"ssh_from": ["10.99.0.0/16"]}},
        FIREWALL,
        "which firewall.ssh_from does not let in",
    ),
    "wrong-interface": LockOut(
        "SSH by an interface that is not there",
        {"firewall": {"ssh_interfaces": ["wg0"]}},
        FIREWALL,
        "root cannot log in any more",
    ),
    "port-moved": _sshd(
        "sshd's port is moved, the firewall's is not", "Port 2222", says="root cannot log in any more"
    ),
    "allow-users": _sshd("AllowUsers without the admin", "AllowUsers claude", says="root cannot log in any more"),
    "deny-agent": _sshd("DenyUsers with the service user", "DenyUsers claude", says="claude cannot log in any more"),
    "broken": _sshd("a broken drop-in", "NoSuchKeyword yes", says="Bad configuration option: NoSuchKeyword"),
    "match": _sshd(
        "a Match block that forbids the key",
        "Match User claude",
        "PubkeyAuthentication no",
        says="claude cannot log in any more",
    ),
    "key-removed": _sshd(
        "the keys are looked for where there are none",
        "AuthorizedKeysFile /etc/ssh/no-keys",
        says="root cannot log in any more",
    ),
    "forced-command": _sshd(
        "every login ends at once", "ForceCommand /bin/false", says="the login runs no command"
    ),
}  # fmt: skip


def logins(host: str = HOST, version: int = 4) -> None:
    """AssertionError unless root and the service user log in anew, from outside pyinfra."""
    for user in ("root", "claude"):
        looks.login(user, host=host, version=version)

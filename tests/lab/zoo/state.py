"""What a state of a host is: what a person's host has that a bare Debian has not, and what must come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

UNREPORTED = "no public report of it was looked up"
Outcome = Literal["works", "warned", "refused"]

# Sections that a state does not bear on are left out, so that a deploy to its host takes a third of the time.
LIGHT = ("hardening", "rootless_docker", "gateway", "toolchain", "launchers", "secrets", "doctor", "by_hand")


@dataclass(frozen=True)
class State:
    """One state. `found`: what the host has, in words. source: the public report that has it, or UNREPORTED.

    script: sh, as root on the host, that makes a bare host so. boot: words for systemd-nspawn. private: how many ids
    the host has of its own (systemd-nspawn --private-users), 0: it has this machine's.

    outcome: of a deploy: it works, it works and says `words`, or it is refused with them before anything is changed;
    {address} and {host} stand in them for the host's. cure: sh, as root, or settings, as the words tell it; what the
    person would do elsewhere (another disk, another machine) is "": there is none on the host.

    settings: what the inventory has from the start. sections: which of LIGHT it bears on. login: as whom the deploy
    comes, with connection.sudo. proves: sh, as root, that ends with 0 after the deploy when what the person had works.
    """

    name: str
    found: str
    source: str
    script: str = ""
    outcome: Outcome = "works"
    words: tuple[str, ...] = ()
    cure: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    sections: tuple[str, ...] = ()
    boot: tuple[str, ...] = ()
    private: int = 0
    proves: str = ""

    @property
    def light(self) -> dict[str, Any]:
        """The settings that leave out what it does not bear on."""
        return {name: {"enabled": False} for name in LIGHT if name not in self.sections}

"""Rules between sections: those that stand on one another are switched off together."""

from __future__ import annotations

from collections.abc import Iterator

from signalbox.fields.messages import show
from signalbox.settings.problems import Problem
from signalbox.settings.rules.rule import Raw, Rule
from signalbox.settings.sections import Sections


def gateway(settings: Sections, _: Raw) -> Iterator[Problem]:
    """The gateway has an engine to run in, and its keys."""
    if not settings.gateway.enabled:
        return
    for section, what in (("rootless_docker", "runs in it"), ("secrets", "does not start without its keys")):
        if not getattr(settings, section).enabled:
            yield Problem((section, "enabled"), f"the gateway {what}; write True, or gateway.enabled = False")


def lanes(settings: Sections, _: Raw) -> Iterator[Problem]:
    """A lane with a key of its own has it from the secrets."""
    if settings.secrets.enabled:
        return
    for name, lane in settings.lanes.items():
        if lane.enabled and lane.via != "gateway" and lane.credential != "none":
            said = f"{show(lane.credential)} is placed by secrets, which are off; write secrets.enabled = True"
            yield Problem(("lanes", name, "credential"), said)


def firewall(settings: Sections, _: Raw) -> Iterator[Problem]:
    """A port is open or shut."""
    let_in = {*settings.firewall.open, *(f"tcp/{port}" for port in settings.firewall.ssh_ports)}
    for index, port in enumerate(settings.firewall.shut):
        if port in let_in:
            where = "firewall.open" if port in settings.firewall.open else "firewall.ssh_ports"
            yield Problem(("firewall", "shut", index), f"{show(port)} is in {where} too; take it out of one of them")


RULES: list[Rule] = [gateway, lanes, firewall]

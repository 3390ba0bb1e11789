"""Firewall: what may come in, in one nftables table of ours; fail2ban's and other tables are left alone."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy

from signalbox.facts.reach import Networks, Session
from signalbox.networks import contains, input_rules, resolved
from signalbox.operations import directories, file, firewall_rules, packages, unit
from signalbox.operations.guarded import Proof
from signalbox.render import render
from signalbox.settings.protection import Firewall

RULES = "/etc/signalbox/firewall.nft"
UNIT = "signalbox-firewall.service"


@deploy("Firewall")
def firewall(settings: Firewall, proof: Proof) -> None:
    """Drop what comes in unasked, but for the settings' exceptions. `proof`: whose fresh login keeps a change."""
    if not settings.enabled:
        return
    attached = host.get_fact(Networks)
    ssh = resolved(settings.ssh_from, attached)
    others = {port: resolved(names, attached) for port, names in settings.open.items()}
    controller = host.get_fact(Session, _sudo=False).controller
    hint = ""
    if controller and not contains(ssh, controller):
        hint = f"this deploy comes from {controller}, which firewall.ssh_from does not let in"
    packages(name="nftables is installed", wanted=["nftables"])
    directories(name="/etc/signalbox exists", paths=["/etc/signalbox"])
    file(
        name="the firewall is loaded by a unit of its own",
        path=f"/etc/systemd/system/{UNIT}",
        content=render(f"firewall/{UNIT}", rules=RULES),
    )
    unit(name="the firewall is loaded at every boot before the network is up", unit=UNIT, running=False)
    firewall_rules(
        name="the firewall is as the settings say, and logins are proven",
        path=RULES,
        content=render(
            "firewall/firewall.nft", rules=input_rules(ssh, settings.ssh_ports, settings.ssh_interfaces, others)
        ),
        proof=proof,
        hint=hint,
    )

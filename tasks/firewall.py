"""Firewall: what may come in, in one nftables table of ours; fail2ban's and other tables are left alone."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import deploy

from signalbox.facts import Placed
from signalbox.facts.before import Listener, Listeners, unheard
from signalbox.facts.reach import Networks, Session
from signalbox.networks import (
    NFTABLES,
    RULES,
    SENDERS,
    TABLE,
    TRIAL,
    contains,
    input_rules,
    of_session,
    output_rules,
    resolved,
)
from signalbox.operations import directories, file, firewall_rules, packages, unit
from signalbox.operations.guarded import Proof
from signalbox.render import render
from signalbox.settings.protection import Firewall
from signalbox.verdict import fail, warn

UNIT = "signalbox-firewall.service"
LOOKUP = "/usr/local/lib/signalbox/egress"


@deploy("Firewall")
def firewall(settings: Firewall, user: str, needed: tuple[str, ...], proof: Proof) -> None:
    """Drop what comes in unasked, but for the settings' exceptions; with egress, what `user` sends out too.

    + needed: "host:port" that `user` must reach. proof: whose fresh login keeps a change.
    """
    if not settings.enabled:
        return
    shut = _shut(settings)
    attached = host.get_fact(Networks)
    ssh = resolved(settings.ssh_from, attached)
    others = {port: resolved(names, attached) for port, names in settings.open.items()}
    session = host.get_fact(Session, _sudo=False)
    hint = ""
    if session.controller and not contains(ssh, session.controller):
        hint = f"this deploy comes from {session.controller}, which firewall.ssh_from does not let in"
    elif session.port and session.port not in settings.ssh_ports:
        hint = f"this deploy comes to port {session.port}, which firewall.ssh_ports does not list"
    hint = hint or "a tunnel that ends on this host must be let in too (firewall.open), if you come through one"
    packages(name="nftables is installed", wanted=["nftables"])
    directories(name="the firewall has its directories", paths=["/etc/signalbox", NFTABLES])
    file(
        name="the firewall is loaded by a unit of its own",
        path=f"/etc/systemd/system/{UNIT}",
        content=render(f"firewall/{UNIT}", rules=RULES, egress=settings.egress.enabled),
    )
    file(
        name="the firewall has a word with Debian's own",
        path=f"{NFTABLES}/50-signalbox-firewall.conf",
        content=render("firewall/50-signalbox-firewall.conf"),
    )
    unit(name="the firewall is loaded at every boot before the network is up", unit=UNIT, running=False)
    unit(name="Debian's own is known with that", unit="nftables.service", running=False, at_boot=False)
    rules, lookups = output_rules(needed, settings.egress.allow, attached)
    egress = {"senders": SENDERS, "rules": rules, "lookups": lookups} if settings.egress.enabled else None
    if egress:
        _lookups(user)
    incoming = input_rules(ssh, settings.ssh_ports, settings.ssh_interfaces, others)
    trial = ""
    if session.controller:
        deploy = of_session(session.controller, session.source, session.port)
        trial = render("firewall/firewall.nft", table=TRIAL, rules=incoming, egress=None, deploy=deploy)
    firewall_rules(
        name="the firewall is as the settings say, and logins are proven",
        path=RULES,
        content=render("firewall/firewall.nft", table=TABLE, rules=incoming, egress=egress, deploy=None),
        trial=trial,
        proof=proof,
        hint=hint,
        held=user if egress else None,
        shut=[str(each) for each in shut],
    )


def _shut(settings: Firewall) -> list[Listener]:
    """Return whom others reach now and not after this; without the settings' word the host is left as it is.

    Where our rules are already, that was said before them.
    """
    if host.get_fact(Placed, path=RULES, kind="file").entry:
        return []
    let_in = {*settings.open, *(f"tcp/{port}" for port in settings.ssh_ports)}
    listening: list[Listener] = host.get_fact(Listeners)
    shut = unheard(listening, let_in)
    unsaid = [each for each in shut if not each.passing and each.port not in settings.shut]
    if unsaid:
        ports = ", ".join(f'"{port}"' for port in dict.fromkeys(each.port for each in unsaid))
        fail(
            [
                f"the firewall would shut {', '.join(map(str, unsaid))}, which others reach now; nothing was changed."
                f" Name each in firewall.open with those who may reach it, or in firewall.shut = [{ports}]"
            ]
        )
    for each in shut:
        why = "which looks like a port for answers" if each.passing else "as the settings say"
        warn(f"the firewall shuts {each}, {why}")
    return shut


def _lookups(user: str) -> None:
    """Look names up as long as the host runs: a rule knows addresses alone, and those of names change."""
    directories(name="/usr/local/lib/signalbox exists", paths=["/usr/local/lib/signalbox"])
    file(
        name="what looks names up for the firewall is in place",
        path=LOOKUP,
        content=render("firewall/egress", rules=RULES, user=user),
        mode="755",
    )
    for suffix in ("service", "timer"):
        file(
            name=f"its {suffix} is in place",
            path=f"/etc/systemd/system/signalbox-egress.{suffix}",
            content=render(f"firewall/signalbox-egress.{suffix}", lookup=LOOKUP, rules=RULES),
        )
    unit(name="names are looked up every five minutes", unit="signalbox-egress.timer")

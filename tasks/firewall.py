"""Firewall: what may come in, in one nftables table of ours; fail2ban's and other tables are left alone."""

from __future__ import annotations

import re

from pyinfra import host

from signalbox.desired.firewall import (
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
from signalbox.desired.render import render
from signalbox.engine.deploy import deploy
from signalbox.engine.logins import address_of
from signalbox.engine.outcome import fail, remark, warn
from signalbox.facts import FileText, Placed
from signalbox.facts.before import Listener, Listeners, unheard
from signalbox.facts.networks import Networks, SharedNetworks
from signalbox.facts.reach import Session
from signalbox.facts.tried import Heard
from signalbox.facts.visitors import WTMPDB, Visitors
from signalbox.operations import directories, file, firewall_rules, packages, unit
from signalbox.operations.guarded import Proof
from signalbox.settings.sections.firewall import Firewall

UNIT = "signalbox-firewall.service"
_MDNS = "udp/5353"
LOOKUP = "/usr/local/lib/signalbox/egress"


@deploy("Firewall")
def firewall(settings: Firewall, user: str, needed: tuple[str, ...], proof: Proof) -> None:
    """Drop what comes in unasked, but for the settings' exceptions; with egress, what `user` sends out too.

    + needed: "host:port" that `user` must reach. proof: whose fresh login keeps a change.
    """
    if not settings.enabled:
        return
    attached = host.get_fact(Networks)
    ssh = resolved(settings.ssh_from, attached)
    others = {port: resolved(names, attached) for port, names in settings.open.items()}
    session = host.get_fact(Session, _sudo=False)
    is_first = host.get_fact(Placed, path=RULES, kind="file").entry is None  # else all of it was said before
    shut = _shut(settings) if is_first else []
    name = address_of(host)
    if is_first and name.endswith(".local") and _MDNS not in settings.open:
        shut_still = ", ".join(f'"{each}"' for each in settings.shut if each != _MDNS)
        fail(
            [
                f"this deploy reaches the host as {name}, by mDNS, and the firewall would shut {_MDNS}, by which that"
                f' name is found; nothing was changed. Write firewall.open = {{"{_MDNS}": ["lan"]}} and firewall.shut ='
                f" [{shut_still}], or an address into ssh_hostname"
            ]
        )
    if not is_first:
        _shared(settings, ssh)
    incoming = input_rules(ssh, settings.ssh_ports, settings.ssh_interfaces, others)
    visitors = _shut_out(incoming, ssh, settings, attached, session.controller) if is_first else []
    hint = ""
    if session.controller and not contains(ssh, session.controller):
        hint = f"this deploy comes from {session.controller}, which firewall.ssh_from does not let in"
    elif session.port and session.port not in settings.ssh_ports:
        hint = f"this deploy comes to port {session.port}, which firewall.ssh_ports does not list"
    datagrams = [each for each in shut if each.port.startswith("udp/")]
    which = f": {', '.join(map(str, datagrams))}" if datagrams else ""
    hint = hint or f"a tunnel that ends on this host must be let in too (firewall.open), if you come through one{which}"
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
    trial = ""
    if session.controller:
        deploy = of_session(session.controller, session.source, session.port)
        doubted = sorted({int(each.port.removeprefix("udp/")) for each in datagrams})
        trial = render(
            "firewall/firewall.nft", table=TRIAL, rules=incoming, egress=None, deploy=deploy, doubted=doubted
        )
    firewall_rules(
        name="the firewall is as the settings say, and logins are proven",
        path=RULES,
        content=render("firewall/firewall.nft", table=TABLE, rules=incoming, egress=egress, deploy=None),
        trial=trial,
        proof=proof,
        hint=hint,
        held=user if egress else None,
        shut=[*map(str, shut), *visitors],
    )


def _shut(settings: Firewall) -> list[Listener]:
    """Return whom others reach now and not after this; without the settings' word the host is left as it is."""
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


def _shut_out(
    rules: list[str], ssh: list[str] | None, settings: Firewall, attached: list[str], controller: str
) -> list[str]:
    """Return from where somebody came lately and would not any more; the settings must say that it is meant."""
    said = resolved([each for each in settings.shut if not re.match(r"[a-z]+/", each)], attached)
    visitors = host.get_fact(Visitors)
    if visitors.unread:
        remark(
            f"{WTMPDB} cannot be read, so logins that it alone knows were not compared with the firewall's rules;"
            " `wtmpdb last` lists them"
        )
    came = {address: users for address, users in visitors.users.items() if address != controller}
    if not came:
        return []
    table = render("firewall/firewall.nft", table=TABLE, rules=rules, egress=None, deploy=None)
    heard = host.get_fact(Heard, rules=table, addresses=list(came), ports=settings.ssh_ports)
    untried = [address for address in came if address not in heard]
    if untried:
        remark(
            f"logins from {', '.join(untried[:8])} were not tried as packets against the firewall's rules: no nft,"
            " no /dev/net/tun or no way to answer them; their addresses alone were compared with firewall.ssh_from"
        )
    shut = {address: users for address, users in came.items() if not heard.get(address, contains(ssh, address))}
    words = {address: f"logins of {', '.join(users)} from {address}" for address, users in shut.items()}
    unsaid = [address for address in words if not contains(said, address)]
    if unsaid:
        listed = ", ".join(f'"{address}"' for address in unsaid[:8])
        fail(
            [
                f"the firewall would shut out {'; '.join(words[each] for each in unsaid[:8])}, which came in the last"
                " 30 days; nothing was changed. Name these, or their networks, in firewall.ssh_from (and in"
                f" ssh_interfaces, where that is set, theirs), or in firewall.shut = [{listed}]"
            ]
        )
    for each in words.values():
        warn(f"the firewall shuts out {each}, as the settings say")
    return list(words.values())


def _shared(settings: Firewall, ssh: list[str] | None) -> None:
    """Stop where an earlier deploy let in a public network as "lan", until the settings say what shall become of it."""
    lines: list[str] = host.get_fact(FileText, path=RULES)
    rules = "\n".join(lines)
    let_in = {each for line in re.findall(r"saddr \{([^}]*)\}", rules) for each in line.replace(",", " ").split()}
    now = [each for each in host.get_fact(SharedNetworks) if each in let_in]
    lost = [each for each in now if not contains(ssh, each.partition("/")[0]) and each not in settings.shut]
    if lost:
        named = ", ".join(f'"{each}"' for each in lost)
        written = ", ".join(f'"{each}"' for each in (*settings.ssh_from, *lost))
        fail(
            [
                f"{', '.join(lost)} would lose its way in: it is a public network that this host shares with strangers,"
                f' and "lan" no longer means it; nothing was changed. Write firewall.ssh_from = [{written}] to let it'
                f" in as before, or firewall.shut = [{named}]"
            ]
        )


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

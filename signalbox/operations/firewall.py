"""The host's firewall: one nftables table of ours."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import operation

from signalbox.facts.reach import FirewallLoaded, OpenPorts
from signalbox.networks import open_ports
from signalbox.operations.commands import Commands
from signalbox.operations.files import file
from signalbox.operations.guarded import Change, Proof, confirmed
from signalbox.shell import all_of, sh
from signalbox.statements import differs

_KEEP = sh("nft -s list table inet signalbox > table.nft 2>/dev/null || : > table.nft")
_UNDO = sh("{{ echo 'table inet signalbox'; echo 'delete table inet signalbox'; cat table.nft; }} | nft -f -\n")


@operation()
def firewall_rules(path: str, content: str, proof: Proof, hint: str, lookups: bool) -> Commands:
    """Have the rules `content` in `path` and loaded: checked, swapped in one transaction, proven by fresh logins.

    + lookups: whether names in them are to be looked up, before anything else of this deploy needs them.
    """
    placing = list(file._inner(path=path, content=content))
    loaded = bool(placing) or host.get_fact(FirewallLoaded, path=path)
    if not placing and loaded:
        host.noop("the firewall is as wanted")
        return
    differs("the firewall's loaded rules", "others, or none" if not loaded else "as set", "as set")
    now, then = host.get_fact(OpenPorts), open_ports(content)
    for port in sorted({*now, *then}) if now else ():
        differs(port, "open" if port in now else "closed", "open" if port in then else "closed")
    change = Change("the firewall", [path], undo=_UNDO, keep=_KEEP, hint=hint)
    load = sh("nft -c -f {} && systemctl reload-or-restart signalbox-firewall.service", path)
    if lookups:
        # It goes on by itself: a name server that is slow to answer must not eat up the armed time.
        load = all_of(load, sh("{{ timeout 20 systemctl start signalbox-egress.service || [ $? = 124 ]; }}"))

    def wrong() -> str | None:
        return None if host.get_fact(FirewallLoaded, path=path) else "the kernel holds other rules than were loaded"

    yield from confirmed(change, [*placing, load], proof, wrong)

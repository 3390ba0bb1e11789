"""The host's firewall: one nftables table of ours."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import operation

from signalbox.desired.firewall import SENDERS, TRIAL, id_set, open_ports
from signalbox.desired.ground import SUBIDS
from signalbox.engine.changes import differs
from signalbox.facts import User
from signalbox.facts.reach import FirewallLoaded, OpenPorts
from signalbox.operations.commands import Commands
from signalbox.operations.files import file
from signalbox.operations.guarded import Change, Proof, confirmed
from signalbox.shell import all_of, fed, sh

_KEEP = sh("nft -s list table inet signalbox > table.nft 2>/dev/null || : > table.nft")
_NO_TRIAL = sh("nft destroy table inet {}", TRIAL)
_UNDO = sh(
    "{}\n{{ echo 'table inet signalbox'; echo 'delete table inet signalbox'; cat table.nft; }} | nft -f -\n", _NO_TRIAL
)


@operation()
def firewall_rules(
    path: str, content: str, proof: Proof, hint: str, held: str | None, trial: str = "", shut: Sequence[str] = ()
) -> Commands:
    """Have the rules `content` in `path` and loaded: checked, swapped in one transaction, proven by fresh logins.

    + held: the user whose ids take the place of SENDERS in them, if any; then names in them are to be looked up too,
      before anything else of this deploy needs them.
    + trial: rules beside these while logins prove them, which hold for what is older too: a tunnel that the login
      comes through, and that would be let in no more, has a packet go on as of a connection that was there before.
    + shut: who is reached now and not after this, for people.
    """
    if held:
        ids = _ids(held)
        content = content.replace(SENDERS, id_set(ids) if ids else f'"{held}"')  # nft says that it is not there
    placing = list(file._inner(path=path, content=content))
    loaded = bool(placing) or host.get_fact(FirewallLoaded, path=path)
    if not placing and loaded:
        host.noop("the firewall is as wanted")
        return
    differs("the firewall's loaded rules", "others, or none" if not loaded else "as set", "as set")
    now, then = host.get_fact(OpenPorts), open_ports(content)
    for port in sorted({*now, *then}) if now else ():
        differs(port, "open" if port in now else "closed", "open" if port in then else "closed")
    for each in shut:
        differs(each, "reached by others", "shut")
    change = Change("the firewall", [path], undo=_UNDO, keep=_KEEP, hint=hint, proven=_NO_TRIAL)
    load = sh("nft -c -f {} && systemctl reload-or-restart signalbox-firewall.service", path)
    if held:
        # It goes on by itself: a name server that is slow to answer must not eat up the armed time.
        load = all_of(load, sh("{{ timeout 20 systemctl start signalbox-egress.service || [ $? = 124 ]; }}"))

    def wrong() -> str | None:
        return None if host.get_fact(FirewallLoaded, path=path) else "the kernel holds other rules than were loaded"

    commands = [*placing, load, *([fed(sh("nft -f -"), trial)] if trial else [])]
    yield from confirmed(change, commands, proof, wrong)


def _ids(user: str) -> list[range]:
    """Return the user's ids; where some were lost that it had from us, those that it is given back before this."""
    now = host.get_fact(User, user=user)
    lost = now.subids_entry and now.subuids < SUBIDS
    return [*now.uids, *([range(now.free_subids, now.free_subids + SUBIDS)] if lost else [])]

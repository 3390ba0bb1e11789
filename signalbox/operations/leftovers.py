"""What nobody wants any more."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import operation

from signalbox.facts import Manifest
from signalbox.manifest import Entry
from signalbox.operations.commands import Commands
from signalbox.removal import ORDER, owner_of, removal
from signalbox.settings.account import Account
from signalbox.statements import differs, want, wanted


@operation()
def leftovers_gone() -> Commands:
    """Take away each thing of the manifest that no operation before this one has stated to want.

    A user stays, with linger and subordinate ids as long as something that is wanted belongs to it.
    """
    asked_for = wanted(host)
    busy = {_account(Entry(*each)) for each in asked_for}
    stale = [
        entry
        for entry in host.get_fact(Manifest)
        if entry.kind in ORDER
        and (entry.kind, entry.id) not in asked_for
        and entry.kind != "user"
        and not (entry.kind in ("linger", "subids") and entry.id in busy)
    ]
    if not stale:
        host.noop("nothing is left")
        return
    for entry in stale:
        differs(f"{entry.kind} {entry.id}", "there", "its original" if entry.original else None)
    yield from removal(stale)


@operation()
def only_unit(unit: str, account: str) -> Commands:
    """Have the user unit `unit` of ours belong to `account` alone, before it starts there: two would want one port."""
    path = f"{Account.named(account).home}/.config/systemd/user/{unit}"
    others = [
        entry
        for entry in host.get_fact(Manifest)
        if entry.kind == "file" and entry.id != path and entry.id.endswith(f"/.config/systemd/user/{unit}")
    ]
    if not others:
        host.noop(f"no other user has {unit}")
        return
    for entry in others:
        want("file", entry.id)  # this operation's own to take away
        differs(entry.id, "there", None)
    yield from removal(others)


def _account(entry: Entry) -> str:
    """Return the user that a thing belongs to, "root" for what is the system's own."""
    if entry.kind in ("file", "link", "line", "directory"):
        return owner_of(entry.id)
    if entry.kind == "tool":
        return entry.id.partition(" of ")[2] or "root"
    return entry.id.partition(":")[0] if entry.kind == "image" else "root"

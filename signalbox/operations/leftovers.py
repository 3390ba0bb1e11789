"""What nobody wants any more."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host, logger, state
from pyinfra.api import operation

from signalbox.facts import Manifest, UserCommand
from signalbox.kept import owner_of
from signalbox.manifest import ORIGINALS, STATE, Entry, entry_path
from signalbox.operations.accounts import keys_gone
from signalbox.operations.commands import Commands
from signalbox.operations.guarded import Proof
from signalbox.operations.ssh import sshd_given_back
from signalbox.removal import ORDER, ordered, removal
from signalbox.run_as import run_as
from signalbox.settings.account import Account
from signalbox.shell import Script, sh
from signalbox.sshd import DROP_IN
from signalbox.statements import differs, wanted


@operation()
def leftovers_gone(proof: Proof) -> Commands:
    """Take away each thing of the manifest that no operation before this one has stated to want.

    + proof: who must get in with the keys that are left.

    An entry that cannot be read is put beside the originals: nobody knows any more what it was of. A user stays, with
    linger and subordinate ids as long as something that is wanted belongs to it.
    """
    asked_for = wanted(host)
    manifest = host.get_fact(Manifest)
    unreadable = set(manifest.unreadable) - {entry_path(*each) for each in asked_for}
    busy = {_account(Entry(*each)) for each in asked_for}
    stale = [
        entry
        for entry in manifest.entries
        if entry.kind in ORDER
        and (entry.kind, entry.id) not in asked_for
        and entry.kind != "user"
        and not (entry.kind in ("linger", "subids") and entry.id in busy)
    ]
    if not stale and not unreadable:
        host.noop("nothing is left")
        return
    for path in sorted(unreadable):
        differs(path, "unreadable", None)
    for entry in stale:
        differs(f"{entry.kind} {entry.id}", "there", _then(entry))
    if unreadable:
        yield sh("mv {} {}/", sorted(unreadable), ORIGINALS)
    # While the guard is still there, which may be stale as well.
    yield from sshd_given_back([entry for entry in stale if entry.id == DROP_IN], proof)
    yield from keys_gone([entry for entry in stale if entry.kind == "key"], proof)
    yield from removal(entry for entry in stale if entry.kind != "key" and entry.id != DROP_IN)


@operation()
def taken_away(kinds: Sequence[str], users: Sequence[str] = ()) -> Commands:
    """Have nothing of these kinds of the manifest; see removal. `users`: those that go with their homes."""
    entries = [entry for entry in host.get_fact(Manifest).entries if entry.kind in kinds]
    entries = [entry for entry in entries if entry.kind != "user" or entry.id in users]
    if not entries:
        host.noop("nothing of it is there")
        return
    for entry in ordered(entries):
        differs(f"{entry.kind} {entry.id}", "there", _then(entry))
    yield from removal(entries, users)


@operation()
def docker_storage_gone(account: str, home: str) -> Commands:
    """Have no storage of the rootless Docker of `account`, unless it holds containers or volumes that are not ours."""
    storage = f"{home}/.local/share/docker"
    if not host.get_fact(UserCommand, user=account, home=home, script=sh("[ ! -d {} ] || echo there", storage)):
        host.noop("there is no storage")
        return
    differs(storage, "there", None)
    # Below the user's own id are those of containers: rootlesskit has the right to them, and no more than that.
    # A Docker that does not answer has told nothing of what it holds: it is started for that, and what it holds stays.
    script = sh(
        "systemctl --user stop litellm.service 2>/dev/null;"
        " docker version >/dev/null 2>&1 || systemctl --user start docker.service 2>/dev/null;"
        " if ! held=$(docker ps -aq && docker volume ls -q); then"
        " echo 'its Docker does not answer, so what it holds is not known' >&2; echo kept; exit 0; fi;"
        ' if [ -n "$held" ]; then echo kept; exit 0; fi;'
        " systemctl --user stop docker.service 2>/dev/null; rootlesskit rm -rf --one-file-system {storage}",
        storage=storage,
    )
    yield run_as(account, home, script)


@operation()
def state_gone() -> Commands:
    """Have no state of ours: the manifest, the originals, the audit.

    What is left of the originals could not be given back, or somebody had written into it: it stays, and is named.
    """
    look = sh("find {} -path {} -prune -print -o -print", STATE, f"{ORIGINALS}/*")
    found = host.get_fact(UserCommand, user="root", home="/root", script=look)
    kept = [path for path in found if path.startswith(f"{ORIGINALS}/")]
    if set(found) == ({STATE, ORIGINALS, *kept} if kept else set()):
        host.noop(f"nothing is left but {', '.join(kept)}" if kept else "there is no state")
        return
    differs(STATE, "there", None)
    if kept and state.is_executing:
        told = f"kept, since it could not be given back or somebody had written into it: {', '.join(kept)}"
        host.log_styled(told, log_func=logger.warning, fg="yellow")
    but = sh("-mindepth 1 ! -path {} ! -path {} ", ORIGINALS, f"{ORIGINALS}/*") if kept else Script("")
    yield sh("find {} {}-delete && rm -rf /run/signalbox-original /usr/local/lib/signalbox", STATE, but)


@operation()
def only_unit(unit: str, account: str) -> Commands:
    """Have the user unit `unit` of ours belong to `account` alone, before it starts there: two would want one port."""
    path = f"{Account.named(account).home}/.config/systemd/user/{unit}"
    others = [
        entry
        for entry in host.get_fact(Manifest).entries
        if entry.kind == "file" and entry.id != path and entry.id.endswith(f"/.config/systemd/user/{unit}")
    ]
    if not others:
        host.noop(f"no other user has {unit}")
        return
    for entry in others:
        # Not stated to be wanted, though it is gone before leftovers look: its user would keep its linger for that.
        differs(entry.id, "there", None)
    yield from removal(others)


def _then(entry: Entry) -> str | None:
    """Return what is there once the thing of this entry is taken away; None: nothing."""
    if entry.kind == "directory":
        return "nothing, where it is empty"
    if entry.kind == "linger":
        return f"off, and what runs as {entry.id} stops"
    return "its original" if entry.original else None


def _account(entry: Entry) -> str:
    """Return the user that a thing belongs to, "root" for what is the system's own."""
    if entry.kind in ("file", "link", "line", "directory"):
        return owner_of(entry.id)
    if entry.kind == "tool":
        return entry.id.partition(" of ")[2] or "root"
    return entry.id.partition(":")[0] if entry.kind == "image" else "root"

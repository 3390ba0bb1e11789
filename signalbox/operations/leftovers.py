"""What nobody wants any more."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host, logger, state
from pyinfra.api import operation

from signalbox.desired.sshd import DROP_IN
from signalbox.engine.changes import differs, wanted
from signalbox.engine.outcome import remark, warn
from signalbox.facts import UserCommand
from signalbox.operations.accounts import keys_gone
from signalbox.operations.commands import Commands
from signalbox.operations.guarded import Proof
from signalbox.operations.placed import manifest_now
from signalbox.operations.ssh import sshd_given_back
from signalbox.settings.account import NOLOGIN, Account
from signalbox.shell import Script, all_of, sh
from signalbox.shell.manifest import ORIGINALS, STATE, Entry, entry_path
from signalbox.shell.originals import owner_of
from signalbox.shell.removal import ORDER, ordered, removal, step_of
from signalbox.shell.removal.accounts import mounts_below
from signalbox.shell.removal.tools import npm_packages
from signalbox.shell.run_as import run_as


@operation()
def leftovers_gone(proof: Proof) -> Commands:
    """Take away each thing of the manifest that no operation before this one has stated to want.

    + proof: who must get in with the keys that are left.

    An entry that cannot be read is put beside the originals: nobody knows any more what it was of. A user stays, with
    linger and subordinate ids as long as something that is wanted belongs to it.
    """
    asked_for = wanted(host)
    manifest = manifest_now()
    unreadable = set(manifest.unreadable) - {entry_path(*each) for each in asked_for}
    busy = {_account(Entry(*each)) for each in asked_for}
    # What they gave way to is still there.
    away = [
        entry for entry in manifest.entries if entry.kind == "replaced" and ("package", entry.original) in asked_for
    ]
    stale = [
        entry
        for entry in manifest.entries
        if entry.kind in ORDER
        and (entry.kind, entry.id) not in asked_for
        and entry.kind != "user"
        and not (entry.kind in ("linger", "subids") and entry.id in busy)
        and entry not in away
        and not (away and _is_of_user(entry))
    ]
    if not stale and not unreadable:
        host.noop("nothing is left")
        return
    for path in sorted(unreadable):
        differs(path, "unreadable", None)
    for entry in stale:
        differs(f"{entry.kind} {entry.id}", "there", _rest(entry))
    for entry in (each for each in manifest.entries if away and _is_of_user(each)):
        account, _, unit = entry.id.partition(":")
        if any(each.id == f"{Account.named(account).home}/.config/systemd/user/{unit}" for each in stale):
            until = f"stopped until {', '.join(sorted(each.id for each in away))} can be there again"
            differs(f"{unit} of {account}, which is theirs", "ours in its place", until)
            for container in entry.hash.split():
                differs(f"container {container} of {account}", "running", until)
    for entry in manifest.entries:
        if entry.kind == "user" and entry.hash == NOLOGIN and entry.id not in busy and _is_the_time():
            home = Account.named(entry.id).home
            remark(f"user {entry.id}, of an earlier gateway, stays with {home}; remove.py takes it away")
    if unreadable:
        yield sh("mv {} {}/", sorted(unreadable), ORIGINALS)
    # While the guard is still there, which may be stale as well.
    yield from sshd_given_back([entry for entry in stale if entry.id == DROP_IN], proof)
    yield from keys_gone([entry for entry in stale if entry.kind == "key"], proof)
    yield from removal(entry for entry in stale if entry.kind != "key" and entry.id != DROP_IN)


def _is_of_user(entry: Entry) -> bool:
    """Return whether this is what ran in a user's own manager before: its programs may be of packages that gave way."""
    return entry.kind == "stopped" and ":" in entry.id


@operation()
def taken_away(kinds: Sequence[str], users: Sequence[str] = ()) -> Commands:
    """Have nothing of these kinds of the manifest; see removal. `users`: those that go with their homes."""
    entries = [entry for entry in manifest_now().entries if step_of(entry) in kinds]
    entries = [entry for entry in entries if entry.kind != "user" or entry.id in users]
    if not entries:
        host.noop("nothing of it is there")
        return
    for entry in ordered(entries):
        differs(f"{entry.kind} {entry.id}", "there", _rest(entry))
    yield from removal(entries, users)


def _rest(entry: Entry) -> str | None:
    """Return what is there once a thing is taken away; None: nothing."""
    if entry.kind == "directory":
        return "nothing, where it is empty"
    if entry.kind == "linger" and entry.hash == "off":
        return "on, as it was"
    if entry.kind == "linger":
        return f"off, and what runs as {entry.id} stops"
    tool, _, account = entry.id.partition(" of ")
    if entry.kind == "tool" and tool == "node" and account:
        home = Account.named(account).home
        own = host.get_fact(UserCommand, user=account, home=home, script=npm_packages(entry))
        return f"what npm -g has installed: {', '.join(own)}" if own else None
    return "its original" if entry.original else None


def mounted_below(accounts: Sequence[str]) -> list[str]:
    """Return what is wrong with taking the homes of these users away: that something is mounted in them."""
    there: list[str] = []
    for account in accounts:
        look = mounts_below(Account.named(account).home)
        found = host.get_fact(UserCommand, user="root", home="/root", script=look)
        there += found
    said = f"{', '.join(there)}: something else is mounted there; unmount it, and run remove.py again"
    return [said] if there else []


def _is_the_time() -> bool:
    """Return whether what is known now is said now: while it is planned, or where nothing is planned before."""
    return not (state.is_executing and state.check_for_changes)


@operation()
def docker_storage_gone(account: str, home: str, whole: bool = False) -> Commands:
    """Have no storage of the rootless Docker of `account`, unless it holds what is not ours; that is named.

    A Docker that does not answer has told nothing of what it holds: it is started for that, and what it holds stays.

    + whole: the user goes with its home, so whatever it holds.
    """
    storage = f"{home}/.local/share/docker"
    if not host.get_fact(UserCommand, user=account, home=home, script=sh("[ ! -d {} ] || echo there", storage)):
        host.noop("there is no storage")
        return
    held = [] if whole else _held(account, home)
    told = False
    if held is None:
        differs(storage, "there", "nothing, if its Docker says that it holds nothing of a person's")
        yield run_as(account, home, sh("{{ timeout 60 systemctl --user start docker.service >/dev/null 2>&1; true; }}"))
        held, told = _held(account, home), True
    if held is None or held:
        if told or _is_the_time():
            warn(f"{storage} stays: {', '.join(held) if held else 'its Docker does not say what it holds'}")
        if not told:
            host.noop(f"{storage} holds what is not ours, and stays")
        return
    if not told:
        differs(storage, "there", None)
    # Below the user's own id are those of containers: rootlesskit has the right to them, and no more than that.
    script = sh(
        "systemctl --user stop litellm.service docker.service 2>/dev/null;"
        " rootlesskit rm -rf --one-file-system {storage} {otherwise}",
        storage=storage,
        otherwise=sh("|| true") if whole else Script(""),
    )
    yield run_as(account, home, script)


def _held(account: str, home: str) -> list[str] | None:
    """Return what is not ours in a user's Docker, in words; None where it does not answer."""
    script = sh(
        "docker container ls --all --format {} && docker volume ls --format {} && docker image ls --format {}"
        " && echo answered",
        'container {{.Names}}{{if .Label "signalbox"}} ours{{end}}',
        "volume {{.Name}}",
        "image {{.Repository}}:{{.Tag}}",
    )
    told = host.get_fact(UserCommand, user=account, home=home, script=script)
    if not told or told[-1] != "answered":
        return None
    ours = [entry.id for entry in manifest_now().entries if entry.kind == "image"]
    repositories = {ident.partition(":")[2].partition("@")[0] for ident in ours if ident.startswith(f"{account}:")}
    return [
        each
        for each in told[:-1]
        if not each.endswith(" ours")
        and not (each.startswith("image ") and each.removeprefix("image ").rpartition(":")[0] in repositories)
    ]


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
    gone = sh("rm -rf --one-file-system /run/signalbox-original /usr/local/lib/signalbox")
    yield all_of(sh("find {} -xdev {}-delete", STATE, but), gone)


@operation()
def only_unit(unit: str, account: str) -> Commands:
    """Have the user unit `unit` of ours belong to `account` alone, before it starts there: two would want one port."""
    path = f"{Account.named(account).home}/.config/systemd/user/{unit}"
    others = [
        entry
        for entry in manifest_now().entries
        if entry.kind == "file" and entry.id != path and entry.id.endswith(f"/.config/systemd/user/{unit}")
    ]
    if not others:
        host.noop(f"no other user has {unit}")
        return
    for entry in others:
        # Not stated to be wanted, though it is gone before leftovers look: its user would keep its linger for that.
        differs(entry.id, "there", None)
    yield from removal(others)


def _account(entry: Entry) -> str:
    """Return the user that a thing belongs to, "root" for what is the system's own."""
    if entry.kind in ("file", "link", "line", "directory"):
        return owner_of(entry.id)
    if entry.kind == "tool":
        return entry.id.partition(" of ")[2] or "root"
    return entry.id.partition(":")[0] if entry.kind == "image" else "root"

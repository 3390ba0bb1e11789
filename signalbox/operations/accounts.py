"""Users as always-on services need them: keys, subordinate ids, linger, and sudo only where it was asked for."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import StringCommand, operation

from signalbox.desired.ground import SUBIDS
from signalbox.engine.changes import differs, want
from signalbox.facts import Placed, User
from signalbox.operations.commands import Commands
from signalbox.operations.files import file
from signalbox.operations.guarded import Change, Proof, confirmed
from signalbox.operations.placed import manifest_now
from signalbox.settings.account import Account
from signalbox.shell import all_of, fed, manifest, sh
from signalbox.shell.manifest import Entry
from signalbox.shell.originals import lines_without, readable, replaced
from signalbox.shell.removal import removal
from signalbox.shell.run_as import PATIENCE, as_owner, run_as


@operation()
def user(account: str, home: str, shell: str = "/bin/bash") -> Commands:
    """Have the user `account` with this home (mode 700 when created) and login shell, and not expired.

    remove.py gives back another shell, and the day on which the account had expired.
    """
    now = host.get_fact(User, user=account)
    want("user", account)
    want("shell", account)
    want("expiry", account)
    differs(f"user {account}, shell" if now.exists else f"user {account}", now.shell, shell)
    if not now.exists:
        yield all_of(
            manifest.record(manifest.Entry("user", account, shell, now.group or None)),
            sh(
                "useradd --create-home --home-dir {} -K HOME_MODE=0700 --shell {} {} {}",
                home,
                shell,
                # A group of that name may be there already, which is somebody's.
                ["--gid", account] if now.group else ["--user-group"],
                account,
            ),
        )
    elif now.shell != shell or now.expired:
        differs(f"user {account}, account", "expired" if now.expired else "valid", "valid")
        known = manifest_now()
        # One that we made has nothing of before; of what was changed meanwhile, the first is given back.
        ours = known.entry("user", account) is not None
        records, change = [], []
        if now.shell != shell:
            before = known.entry("shell", account)
            original = before.original if before and before.original else now.shell or "/bin/sh"
            records.append(Entry("shell", account, shell, original))
            change += ["--shell", shell]
        if now.expired:
            records.append(known.entry("expiry", account) or Entry("expiry", account, original=now.expires))
            change += ["--expiredate", ""]
        recorded = [] if ours else map(manifest.record, records)
        yield all_of(*recorded, sh("usermod {} {}", change, account))
    else:
        host.noop(f"user {account} exists")


@operation()
def password(account: str, value: str) -> Commands:
    """Give `account` a first password over stdin. One that is already set is left alone: it is the person's."""
    if host.get_fact(User, user=account).has_password:
        host.noop(f"user {account} has a password")
        return
    differs(f"password of {account}", None, "set")
    yield fed(sh("chpasswd"), f"{account}:{value}")


@operation()
def authorized_keys(account: str, home: str, keys: list[str]) -> Commands:
    """Have these public keys in the user's authorized_keys; other keys there are left alone."""
    now = host.get_fact(User, user=account)
    # Wherever it stands in its line: one with options before it is a person's own, and says from where it may be used.
    present = [f" {' '.join(line.split())} " for line in now.authorized_keys if not line.lstrip().startswith("#")]
    missing = [key for key in keys if not any(f" {' '.join(key.split()[:2])} " in line for line in present)]
    for key in keys:
        want("key", _key_id(account, key))
    if not missing:
        host.noop(f"{account} has its authorized keys")
        return
    differs(f"{home}/.ssh/authorized_keys, keys of ours", len(keys) - len(missing), len(keys))
    yield _with_keys(account, home, missing)


def keys_gone(entries: Sequence[Entry], proof: Proof) -> Commands:
    """Yield what takes these keys of the manifest away; those of `proof.user` only if fresh logins succeed after it."""
    mine = [entry for entry in entries if entry.id.startswith(f"{proof.user}:")]
    yield from removal(entry for entry in entries if entry not in mine)
    if not mine:
        return
    path = f"{Account.named(proof.user).home}/.ssh/authorized_keys"
    change = Change(
        path,
        paths=(),
        kept=[manifest.entry_path(entry.kind, entry.id) for entry in mine],
        # The file is the user's: it is read and written with that user's rights alone.
        keep=sh("{{ {} || true; }} > keys", as_owner(proof.user, sh("cat {}", path))),
        undo=sh(
            "{} < keys\n",
            as_owner(proof.user, sh("umask 077; cat > {new} && mv -fT {new} {path}", new=f"{path}.new", path=path)),
        ),
        hint="let another key of this machine in first (service_user.authorized_keys)",
    )
    yield from confirmed(change, removal(mine), proof)


def _with_keys(account: str, home: str, missing: Sequence[str]) -> StringCommand:
    path = f"{home}/.ssh/authorized_keys"
    make = sh(
        "umask 077; {{ [ -d {ssh} ] || mkdir {ssh}; }} && {readable} && {{ [ -e {path} ] || : > {path}; }}",
        ssh=f"{home}/.ssh",
        readable=readable(path),
        path=path,
    )
    # awk ends a last line that has no newline, which would swallow the first new key.
    script = all_of(make, replaced(path, sh("awk 1 && cat <&3")), sh("chmod go-w {}", path))
    records = [manifest.record(manifest.Entry("key", _key_id(account, key))) for key in missing]
    return fed(all_of(*records, as_owner(account, script)), "\n".join(missing))


def _key_id(account: str, key: str) -> str:
    return f"{account}:{' '.join(key.split()[:2])}"


@operation()
def subordinate_ids(account: str) -> Commands:
    """Have at least 65536 subordinate user and group ids for `account`, in a range that nobody else has.

    The range is recorded, also one that is not from us (useradd gives one): should it be lost or changed, it is given
    back, because what lies in the user's containers belongs to it; another one stays behind it.
    """
    now = host.get_fact(User, user=account)
    want("subids", account)
    missing = [kind for kind, has in (("subuids", now.subuids), ("subgids", now.subgids)) if has < SUBIDS]
    entry = now.subids_entry
    if missing:
        has, enough = f"{now.subuids}, {now.subgids}", f"{SUBIDS}, {SUBIDS}"
        differs(f"subordinate user and group ids of {account}", has, enough)
        record = manifest.record(Entry("subids", account, str(now.free_subids), entry.original if entry else None))
        ids = f"{now.free_subids}-{now.free_subids + SUBIDS - 1}"
        adding = [word for kind in missing for word in (f"--add-{kind}", ids)]
        yield all_of(record, sh("touch /etc/subuid /etc/subgid && usermod {} {}", adding, account))
    elif entry and entry.hash != now.first_subid and entry.hash == str(now.free_subids):
        differs(f"subordinate ids of {account} begin at", now.first_subid, entry.hash)
        differs(f"subordinate group ids of {account} begin at", now.first_subgid, entry.hash)
        line = f"{account}:{entry.hash}:{SUBIDS}"
        # The first line that names the user is what its containers' first ids are.
        yield all_of(
            *(
                sh(
                    "{{ {{ printf '%s\\n' {line} && {others} < {file}; }} > {new}"
                    " && chmod 644 {new} && sync {new} && mv -f {new} {file}; }}",
                    line=line,
                    others=lines_without(line),
                    file=file,
                    new=f"{file}.signalbox-new",
                )
                for file in ("/etc/subuid", "/etc/subgid")
            )
        )
    elif entry is None or entry.hash != now.first_subid:
        differs(f"subordinate ids of {account}, manifest entry", entry and entry.hash, now.first_subid)
        original = entry.original if entry else now.first_subid
        yield manifest.record(Entry("subids", account, now.first_subid, original))
    else:
        host.noop(f"{account} has subordinate ids")


@operation()
def linger(account: str, home: str, wanted: bool = True) -> Commands:
    """Have the user's services start at boot and outlive logins (or not), with the manager and its bus running now.

    What was on before us is not ours to switch off in the end, and what we have switched off comes back.
    """
    now = host.get_fact(User, user=account)
    entry = manifest_now().entry("linger", account)
    switched_off = entry is not None and entry.hash == "off"
    if wanted or switched_off:
        want("linger", account)
    differs(f"linger of {account}", "on" if now.linger else "off", "on" if wanted else "off")
    if wanted and not (now.linger and now.bus):
        # A manager that was started before dbus-user-session was installed has no bus until it is told.
        start = sh("systemctl --user daemon-reload && systemctl --user start dbus.socket")
        bus = run_as(account, home, start, seconds=PATIENCE)
        known = manifest.forget("linger", account) if switched_off else manifest.record(Entry("linger", account))
        yield all_of(
            # That there was no bus yet says nothing of who let it linger.
            *([] if now.linger else [known]),
            sh(
                'loginctl enable-linger {account} && systemctl start user@"$(id -u {account})".service', account=account
            ),
            bus,
        )
    elif not wanted and now.linger:
        off = sh("loginctl disable-linger {}", account)
        if entry and not switched_off:
            yield all_of(off, manifest.forget("linger", account))
        else:
            yield all_of(manifest.record(Entry("linger", account, "off")), off)
    else:
        host.noop(f"linger of {account} is as wanted")


@operation()
def sudo_rule(account: str, rule: str | None) -> Commands:
    """Have `rule` (what follows the user's name in sudoers) for `account`, checked by visudo; None: none of ours."""
    path = f"/etc/sudoers.d/signalbox-{account}"
    if rule is not None:
        content = f"{account} {rule}\n"
        yield from file._inner(path=path, content=content, mode="440")
        return
    now = host.get_fact(Placed, path=path, kind="file")
    want("file", path)  # this operation's own to take away
    if now.type is None:
        host.noop(f"{account} has no sudo rule of ours")
        return
    differs(path, now.type, None)
    yield all_of(sh("rm -f {}", path), manifest.forget("file", path))

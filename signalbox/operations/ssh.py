"""sshd's configuration: one drop-in, proven by sshd itself and by fresh logins."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyinfra import host
from pyinfra.api import operation

from signalbox.desired.sshd import DROP_IN, overridden
from signalbox.engine.changes import differs
from signalbox.engine.logins import deploy_user, login_problem, reached_by_ssh
from signalbox.engine.outcome import warn
from signalbox.facts import Placed, User
from signalbox.facts.reach import UNREAD, Sshd, SshdPasswords
from signalbox.operations.commands import Commands
from signalbox.operations.files import file
from signalbox.operations.guarded import Change, Proof, confirmed
from signalbox.shell import sh
from signalbox.shell.manifest import Entry
from signalbox.shell.removal import removal

# Until a reload has been done: systemd only sends the signal.
_READ = sh('for i in $(seq 50); do [ -e /run/sshd.pid ] && [ -n "$({})" ] || break; sleep 0.1; done', UNREAD)
# Nothing to reload where systemd starts an sshd for each connection.
_RELOAD = sh(
    "{{ ! systemctl --quiet is-active ssh.service || {{ systemctl reload ssh.service && {{ {}; }}; }}; }}", _READ
)
# Not `reload`: that job would wait for the guard's own, which comes before ssh.service at boot.
_UNDO = sh("! systemctl --quiet is-active ssh.service || systemctl kill --kill-whom=main --signal=HUP ssh.service\n")


@operation()
def sshd_configuration(
    path: str,
    content: Callable[[bool], tuple[str, dict[str, str]]],
    proof: Proof,
    address: str,
    password_login: bool,
    password_users: Sequence[str] = (),
) -> Commands:
    """Have the drop-in `path` in effect.

    + content: from whether only keys may log in, the file's text and the values that sshd must then have.
    + address: where the deploy comes from.
    + password_login: False: passwords are no way in, once a key login of `proof.user` has really succeeded; but for
      `password_users`, whom a person's own Match block lets in.
    """
    me = deploy_user(host)
    now = host.get_fact(Sshd, user=me, address=address)
    keys_only = not password_login and _keys_only(now.effective, me, proof)
    text, values = content(keys_only)
    placing = list(file._inner(path=path, content=text))
    others = overridden(values, now.effective)
    if keys_only and now.effective.get("passwordauthentication") == "no":
        others += _let_in(address, password_users)
    if not placing and path not in now.changed and not others:
        host.noop("sshd is configured as wanted")
        return
    if not placing:
        differs("sshd", "; ".join(others) or f"has not read {path} yet", "as set")
    change = Change("sshd", [path], undo=_UNDO)

    def wrong() -> str | None:
        then = host.get_fact(Sshd, user=me, address=address)
        if path in then.changed:
            return f"sshd has not read {path}: its reload failed, see `journalctl -u ssh`"
        found = overridden(values, then.effective) + (_let_in(address, password_users) if keys_only else [])
        return f"other lines of sshd_config or sshd_config.d have their way: {'; '.join(found)}" if found else None

    yield from confirmed(change, [*placing, sh("sshd -t"), _RELOAD], proof, wrong)


def _let_in(address: str, allowed: Sequence[str]) -> list[str]:
    """Return of whom sshd still takes a password, though none is a way in, one text each."""
    users = [user for user in host.get_fact(SshdPasswords, address=address) if user not in allowed]
    return [f"a Match block lets {user} in by password (ssh.password_users)" for user in users]


def sshd_given_back(entries: Sequence[Entry], proof: Proof) -> Commands:
    """Yield what takes these files of sshd's in the manifest away, proven by fresh logins as a change of them is."""
    if not entries:
        return
    originals = [entry.original for entry in entries if entry.original]
    change = Change("sshd", [entry.id for entry in entries], undo=_UNDO, kept=originals)

    def wrong() -> str | None:
        changed = host.get_fact(Sshd, user=deploy_user(host), address="").changed
        return f"sshd has not read {', '.join(changed)}: see `journalctl -u ssh`" if changed else None

    yield from confirmed(change, [*removal(entries), _READ], proof, wrong)


@operation()
def sshd_as_before(proof: Proof) -> Commands:
    """Have sshd configured as before Signalbox, proven by fresh logins."""
    entry = host.get_fact(Placed, path=DROP_IN, kind="file").entry
    if entry is None:
        host.noop("sshd is configured as before")
        return
    differs(DROP_IN, "there", "its original" if entry.original else None)
    yield from sshd_given_back([entry], proof)


def _keys_only(effective: dict[str, str], me: str, proof: Proof) -> bool:
    """Tell whether password logins may be off: they are already, or a key has just opened the user's door."""
    if effective.get("passwordauthentication") == "no":
        return True
    why: str | None
    if not reached_by_ssh(host):
        why = "this deploy does not come over SSH, so that no key is proven"
    elif host.data.get("ssh_password"):
        why = f"this deploy itself logs in as {me} with one"
    elif not host.get_fact(User, user=proof.user).exists:
        why = None if not host.state.is_executing else f"there is no user {proof.user}"
        if why is None:
            return True  # only planned as yet: the deploy makes the user first, and asks again
    else:
        why = login_problem(host, proof.user, proof.seconds)
        why = why and f"no key of this machine logs in as {proof.user} ({why}); see service_user.authorized_keys"
    if why:
        warn(f"password login stays on: {why}")
    return why is None

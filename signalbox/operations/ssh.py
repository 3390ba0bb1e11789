"""sshd's configuration: one drop-in, proven by sshd itself and by fresh logins."""

from __future__ import annotations

from collections.abc import Callable

from pyinfra import host, logger
from pyinfra.api import operation

from signalbox.facts import User
from signalbox.facts.reach import Sshd
from signalbox.logins import deploy_user, login_problem
from signalbox.operations.commands import Commands
from signalbox.operations.files import file
from signalbox.operations.guarded import Change, Proof, confirmed
from signalbox.sshd import overridden
from signalbox.statements import differs

# Nothing to reload where systemd starts an sshd for each connection.
_RELOAD = "{ ! systemctl --quiet is-active ssh.service || systemctl reload ssh.service; }"
# Not `reload`: that job would wait for the guard's own, which comes before ssh.service at boot.
_UNDO = "! systemctl --quiet is-active ssh.service || systemctl kill --kill-whom=main --signal=HUP ssh.service\n"


@operation()
def sshd_configuration(
    path: str,
    content: Callable[[bool], tuple[str, dict[str, str]]],
    proof: Proof,
    address: str,
    password_login: bool,
) -> Commands:
    """Have the drop-in `path` in effect.

    + content: from whether only keys may log in, the file's text and the values that sshd must then have.
    + address: where the deploy comes from.
    + password_login: False: passwords are no way in, once a key login of `proof.user` has really succeeded.
    """
    me = deploy_user(host)
    now = host.get_fact(Sshd, user=me, address=address)
    keys_only = not password_login and _keys_only(now.effective, me, proof)
    text, values = content(keys_only)
    placing = list(file._inner(path=path, content=text))
    others = overridden(values, now.effective)
    if not placing and path not in now.changed and not others:
        host.noop("sshd is configured as wanted")
        return
    if not placing:
        differs("sshd", "; ".join(others) or f"has not read {path} yet", "as set")
    change = Change("sshd", [path], undo=_UNDO)

    def wrong() -> str | None:
        found = overridden(values, host.get_fact(Sshd, user=me, address=address).effective)
        return f"another file of /etc/ssh/sshd_config.d has its way: {'; '.join(found)}" if found else None

    yield from confirmed(change, [*placing, "sshd -t", _RELOAD], proof, wrong)


def _keys_only(effective: dict[str, str], me: str, proof: Proof) -> bool:
    """Tell whether password logins may be off: they are already, or a key has just opened the user's door."""
    if effective.get("passwordauthentication") == "no":
        return True
    why: str | None
    if host.data.get("ssh_password"):
        why = f"this deploy itself logs in as {me} with one"
    elif not host.get_fact(User, user=proof.user).exists:
        why = None if not host.state.is_executing else f"there is no user {proof.user}"
        if why is None:
            return True  # only planned as yet: the deploy makes the user first, and asks again
    else:
        why = login_problem(host, proof.user, proof.seconds)
        why = why and f"no key of this machine logs in as {proof.user} ({why}); see service_user.authorized_keys"
    if why:
        host.log_styled(f"warning: password login stays on: {why}", log_func=logger.warning, fg="yellow")
    return why is None

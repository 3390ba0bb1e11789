"""Changes that could lock the owner out: armed, made, proven over fresh logins, and only then kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pyinfra import host, logger
from pyinfra.api import StringCommand, operation

from signalbox.engine.changes import differs
from signalbox.engine.logins import deploy_user, login_problem, reached_by_ssh
from signalbox.engine.outcome import warn
from signalbox.facts import Placed
from signalbox.facts.reach import Guard
from signalbox.operations.commands import Commands
from signalbox.shell import Script, fed, guard, script_of, sh

_RESTORED = f"{guard.STATE}/restored"


@dataclass(frozen=True)
class Proof:
    """Who must still get in after a change, beside the user of the deploy.

    seconds: for each fresh login. guard: whether the settings want the guard on the host.
    """

    user: str
    seconds: int
    guard: bool = True


@dataclass(frozen=True)
class Change:
    """One guarded change.

    name: in a word. paths: its files, as the manifest knows them; kept: more that go back with them. keep: sh that
    saves into the current directory what `undo` needs. undo: sh that brings back what files alone do not; it runs at
    boot too, where nothing has been loaded yet. hint: what may be wrong, said when the logins fail.
    proven: sh that ends what was there for the logins alone.
    """

    name: str
    paths: Sequence[str]
    undo: Script
    kept: Sequence[str] = ()
    keep: Script = guard.NOTHING
    hint: str = ""
    proven: Script = guard.NOTHING


def confirmed(
    change: Change,
    commands: Iterable[StringCommand | Script],
    proof: Proof,
    wrong: Callable[[], str | None] = lambda: None,
) -> Commands:
    """Yield the change as commands: armed before, kept only when fresh logins succeed after it.

    + commands: each ends with an error if it cannot be done; then the change is taken back at once.
    + wrong: asked after the commands; says what is not as wanted although all of them succeeded.

    Who could log in before must be able to after. pyinfra asks for one command after the other, so what stands
    between two of them happens between two of them, and nothing before the first.
    """
    if not proof.guard and host.get_fact(Placed, path=guard.GUARD, kind="file").type is None:
        yield from commands  # its owner has switched it off
        return
    yield fed(guard.arm(change.name, change.paths, change.kept, change.keep), change.undo)
    if not reached_by_ssh(host):
        warn(f"this deploy does not come over SSH, so no fresh login proves the change of {change.name}")
    me = deploy_user(host)
    before = {user: login_problem(host, user, proof.seconds) for user in dict.fromkeys((me, proof.user))}
    if before[me] is not None:
        yield from _gives_up(f"{me} cannot log in anew even before the change: {before[me]}", change, (), 0)
        return
    able = [user for user, problem in before.items() if problem is None]
    for command in commands:
        yield _or_back(command)
    failed = wrong()
    if failed is None:
        after = {user: login_problem(host, user, proof.seconds) for user in able}
        failed = "; ".join(f"{user} cannot log in any more: {why}" for user, why in after.items() if why)
        failed = f"{failed}; {change.hint}" if failed and change.hint else failed
    if failed:
        yield from _gives_up(failed, change, able, proof.seconds)
    else:
        yield sh("{} && {}", change.proven, guard.CONFIRM)


def _gives_up(failed: str, change: Change, users: Iterable[str], seconds: int) -> Commands:
    host.log_styled(f"{failed}; the change of {change.name} is taken back", log_func=logger.error, fg="red")
    yield sh("{}; cat {} >&2", guard.RESTORE, _RESTORED)
    still = [f"{user}: {why}" for user in users if (why := login_problem(host, user, seconds))]
    logins = f"but: {'; '.join(still)}" if still else "logins work as before"
    words = f"{change.name}: all is as before the change, and what it changed is no longer in effect; {logins}"
    yield sh("echo {} >&2; false", words)


def _or_back(command: StringCommand | Script) -> StringCommand | Script:
    if isinstance(command, Script):
        return sh("{{ {}; }} || {{ {}; cat {} >&2; false; }}", command, guard.RESTORE, _RESTORED)
    stdin = command.connector_arguments.get("_stdin")
    line = _or_back(script_of(command))
    return fed(line, stdin) if isinstance(line, Script) and isinstance(stdin, str) else line


@operation()
def nothing_waits() -> Commands:
    """Have no change that waits to be confirmed: one that a killed run has left is taken back."""
    now = host.get_fact(Guard)
    if not now.waiting:
        host.noop("no change waits to be confirmed")
        return
    differs(f"a change of {now.waiting}", "waits to be confirmed", "taken back")
    yield sh("{} && ! [ -e {} ]", guard.RESTORE, f"{guard.STATE}/armed")

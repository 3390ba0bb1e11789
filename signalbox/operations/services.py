"""Units of a user's own systemd manager, started from root without a login."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import operation

from signalbox.facts import UserCommand, UserUnit
from signalbox.operations.commands import Commands
from signalbox.run_as import run_as
from signalbox.statements import differs


@operation()
def service(unit: str, account: str, home: str, inputs: dict[str, str | None]) -> Commands:
    """Have the user unit `unit` enabled and running with its inputs as they shall be.

    + inputs: path of each file that the process reads at start (the unit's own file among them), with the
      SHA-256 that is wanted, or None where only the host knows it. The unit notes in ExecStartPre what it
      started with; if that differs from what is wanted (or, for None, from what is on disk), it is restarted.
    """
    now = host.get_fact(UserUnit, unit=unit, user=account, home=home, inputs=tuple(sorted(inputs)))
    wanted = {path: digest or now.on_disk.get(path, "") for path, digest in inputs.items()}
    current = all(now.started_with.get(path, "") == digest for path, digest in wanted.items())
    if now.active and now.enabled and current and not now.needs_reload:
        host.noop(f"{unit} of {account} is enabled and runs what is on disk")
        return
    differs(f"{unit} of {account}", "running" if now.active else "not running", "running")
    differs(f"{unit} of {account}, at boot", "enabled" if now.enabled else "not enabled", "enabled")
    differs(f"{unit} of {account}, as the manager has it", "older" if now.needs_reload else "on disk", "on disk")
    for path, digest in wanted.items() if now.active else ():
        if now.started_with.get(path, "") != digest:
            differs(f"{unit} of {account}, started with", f"another {path}", "the one that is wanted")
    verb = "start" if now.active and current else "restart"
    # A unit that gave up after too many failed starts refuses another start until its count is reset.
    script = (
        f"systemctl --user daemon-reload && systemctl --user enable --quiet {unit}"
        f" && {{ systemctl --user reset-failed {unit} 2>/dev/null || true; }}"
        f" && {{ systemctl --user {verb} {unit}"
        f" || {{ journalctl --user -u {unit} -n 30 --no-pager -o cat >&2; exit 1; }}; }}"
    )
    yield run_as(account, home, script)


@operation()
def manager_environment(account: str, home: str, variable: str) -> Commands:
    """Have the running user manager know `variable` ("NAME=value") of environment.d, not only the next one."""
    lines = host.get_fact(UserCommand, user=account, home=home, script="systemctl --user show-environment")
    if variable in lines:
        host.noop(f"the user manager of {account} has its environment")
        return
    differs(f"environment of the user manager of {account}", "older", "on disk")
    yield run_as(account, home, "systemctl --user daemon-reload")

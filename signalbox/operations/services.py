"""Units of a user's own systemd manager, started from root without a login."""

from __future__ import annotations

from collections.abc import Collection

from pyinfra import host
from pyinfra.api import operation

from signalbox.engine.changes import differs, is_renewed
from signalbox.facts import Unit, UserCommand, UserInputs, UserUnits
from signalbox.facts.units import USER
from signalbox.operations.commands import Commands
from signalbox.operations.engines import BEGUN, DOCKER, NOTED, containers
from signalbox.operations.handover import StandIn, restarted
from signalbox.operations.in_effect import refused
from signalbox.operations.units import foreign_drop_ins
from signalbox.shell import Script, sh
from signalbox.shell.run_as import PATIENCE, run_as


@operation()
def service(
    unit: str,
    account: str,
    home: str,
    inputs: dict[str, str | None],
    reloaded: Collection[str] = (),
    meanwhile: Script | None = None,
    stand_in: StandIn | None = None,
    patience: int = PATIENCE,
) -> Commands:
    """Have the user unit `unit` enabled and running with its inputs as they shall be.

    + inputs: path of each file that the process reads at start (the unit's own file among them), with the
      SHA-256 that is wanted, or None where only the host knows it. The unit notes in ExecStartPre what it
      started with; if that differs from what is wanted (or, for None, from what is on disk), it is restarted. What
      runs in a Docker that is restarted is named, and begun again.
    + reloaded: those of them that `systemctl reload` takes over. A unit that does not take what is on disk, and runs
      on with what it had, tells why in %t/<unit>.refused: the operation fails with that.
    + meanwhile: shell that the user's manager begins once the unit was started, for a later operation that does the
      same if need be: nothing waits for it, or asks how it ended.
    + stand_in: of the gateway, which answers while it is restarted.
    + patience: seconds that a start may take: what it waits for may be the user's own doing.
    """
    now, others = _state(unit, account, home, inputs)
    current = not others
    file = f"{home}/.config/systemd/user/{unit}"
    foreign = foreign_drop_ins(file, now.drop_ins)
    older = now.needs_reload or (now.active and is_renewed(file))  # see units.unit
    if now.active and now.enabled and current and not older and not foreign:
        host.noop(f"{unit} of {account} is enabled and runs what is on disk")
        return
    differs(f"{unit} of {account}", "running" if now.active else "not running", "running")
    differs(f"{unit} of {account}, at boot", "enabled" if now.enabled else "not enabled", "enabled")
    differs(f"{unit} of {account}, as the manager has it", "older" if older else "on disk", "on disk")
    for path in sorted(others) if now.active else ():
        differs(f"{unit} of {account}, started with", f"another {path}", "the one that is wanted")
    for path in foreign:
        differs(f"{unit} of {account}, changed by {path}", "there", None)
    verb = "restart"
    if now.active and others <= set(reloaded):
        verb = "reload-or-restart" if others else "start"
    holds = unit == DOCKER and now.active and verb == "restart"
    for name in containers(account, home) if holds else ():
        differs(f"container {name} of {account}", "running", "begun again with its Docker")
    # A unit that gave up after too many failed starts refuses another start until its count is reset.
    script = sh(
        '{noted}refused="$XDG_RUNTIME_DIR"/{unit}.refused; systemctl --user daemon-reload'
        " && systemctl --user enable --quiet {unit} && {{ systemctl --user reset-failed {unit} 2>/dev/null || true; }}"
        ' && {{ [ ! -e "$refused" ] || {{ rm -rf --one-file-system "$refused" && : > "$refused"; }}; }}'
        ' && {{ systemctl --user {verb} {unit} || {{ [ -s "$refused" ]'
        " || journalctl --user -u {unit} -n 30 --no-pager -o cat >&2; false; }}; }}"
        '; status=$?; [ ! -s "$refused" ] || {{ head -c 4096 "$refused" >&2; exit 1; }}; {begun}{begin}exit $status',
        unit=unit,
        verb=verb,
        noted=sh("{}; ", NOTED) if holds else Script(""),
        begun=sh("{}; ", BEGUN) if holds else Script(""),
        begin=_beginning(meanwhile) if meanwhile else Script(""),
    )
    late = f"{unit} of {account} did not start within {patience} s"
    bounded = run_as(account, home, script, seconds=patience)
    change = sh("{} || {{ s=$?; [ $s -lt 124 ] || echo {} >&2; exit $s; }}", bounded, late)
    if stand_in and verb == "restart":
        yield from restarted(stand_in, change, lambda: _needs_it(*_state(unit, account, home, inputs)))
    else:
        yield change
    if foreign:
        yield refused(
            f"{unit} of {account} is changed by {', '.join(foreign)}, which Signalbox did not place; take it away"
        )


def _state(unit: str, account: str, home: str, inputs: dict[str, str | None]) -> tuple[Unit, set[str]]:
    """Return how the unit is, and which of its inputs it runs with otherwise than is wanted."""
    units = host.get_fact(UserUnits, user=account, home=home, units=USER if unit in USER else (unit,))
    unknown = tuple(sorted(path for path, digest in inputs.items() if digest is None))
    read = host.get_fact(UserInputs, unit=unit, user=account, inputs=unknown)
    wanted = {path: digest or read.on_disk.get(path, "") for path, digest in inputs.items()}
    return units.get(unit, Unit()), {path for path, each in wanted.items() if read.started_with.get(path, "") != each}


def _needs_it(now: Unit, others: set[str]) -> bool:
    return bool(others or now.needs_reload) or not (now.active and now.enabled)


def _beginning(script: Script) -> Script:
    begin = sh("systemd-run --user --quiet --collect --setenv=DOCKER_HOST sh -c {}", str(script))
    return sh("[ $status != 0 ] || {} || true; ", begin)


@operation()
def manager_environment(account: str, home: str, variable: str) -> Commands:
    """Have the running user manager know `variable` ("NAME=value") of environment.d, not only the next one."""
    lines = host.get_fact(UserCommand, user=account, home=home, script=sh("systemctl --user show-environment"))
    if variable in lines:
        host.noop(f"the user manager of {account} has its environment")
        return
    differs(f"environment of the user manager of {account}", "older", "on disk")
    yield run_as(account, home, sh("systemctl --user daemon-reload"), seconds=PATIENCE)

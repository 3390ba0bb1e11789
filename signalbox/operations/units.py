"""Units of the system's own manager."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyinfra import host
from pyinfra.api import operation

from signalbox.engine.changes import differs, is_renewed, want, wanted
from signalbox.facts import Inputs, SystemInputs, SystemUnits, Unit
from signalbox.facts.units import SYSTEM
from signalbox.operations.commands import Commands
from signalbox.operations.in_effect import refused
from signalbox.shell import Script, all_of, manifest, sh


@operation()
def unit(
    unit: str,
    inputs: Mapping[str, str] | None = None,
    running: bool = True,
    at_boot: bool = True,
    answers: Script | None = None,
) -> Commands:
    """Have the system unit `unit` enabled, known to systemd as it is on disk, and running with its inputs.

    + inputs: SHA-256 wanted of each file that the process reads at start; the unit notes them in ExecStartPre
      (/run/signalbox/<unit>.inputs), and is restarted when it runs with others.
    + running: False: something else starts it. at_boot: False: its owner decides; ours is a drop-in.
    + answers: shell that succeeds within 10 s of a start, or the start has failed.
    """
    now = host.get_fact(SystemUnits, units=SYSTEM if unit in SYSTEM else (unit,)).get(unit, Unit())
    read = host.get_fact(SystemInputs, unit=unit, inputs=tuple(inputs)) if inputs else Inputs()
    if at_boot:
        want("unit", unit)
    enabled = now.enabled or not at_boot
    # A drop-in of a unit that is ours altogether; those of others' units are their owners'.
    foreign = foreign_drop_ins(f"/etc/systemd/system/{unit}", now.drop_ins)
    current = not read.touched and all(read.started_with.get(path) == each for path, each in (inputs or {}).items())
    started = not running or (now.active and current)
    # A manager that has it loaded has an older one when its file was placed by then: the plan says so.
    older = now.needs_reload or (now.active and is_renewed(f"/etc/systemd/system/{unit}"))
    if enabled and started and not older and not foreign:
        host.noop(f"{unit} is enabled and as wanted")
        return
    differs(f"{unit}, at boot", "enabled" if enabled else "not enabled", "enabled")
    if running:
        differs(unit, "running" if now.active else "not running", "running")
    differs(f"{unit}, as systemd has it", "older" if older else "on disk", "on disk")
    for path, digest in (inputs or {}).items() if now.active else ():
        if read.started_with.get(path) != digest:
            differs(f"{unit}, started with", f"another {path}", "the one that is wanted")
    for path in foreign:
        differs(f"{unit}, changed by {path}", "there", None)
    steps = [sh("systemctl daemon-reload")]
    if not enabled:
        steps.append(manifest.record(manifest.Entry("unit", unit)))
        steps.append(sh("systemctl enable --quiet {}", unit))
    if running and not started:
        steps.append(sh("{{ systemctl reset-failed {} 2>/dev/null || true; }}", unit))
        start = sh("systemctl restart {}", unit)
        if answers:
            start = all_of(
                start,
                sh(
                    "for i in $(seq 50); do ! {answers} >/dev/null 2>&1 || break; sleep 0.2; done;"
                    " {answers} >/dev/null",
                    answers=answers,
                ),
            )
        steps.append(sh("{{ {} || {{ journalctl -u {} -n 20 --no-pager -o cat >&2; false; }}; }}", start, unit))
    if foreign:
        steps.append(refused(f"{unit} is changed by {', '.join(foreign)}, which Signalbox did not place; take it away"))
    yield all_of(*steps)


def foreign_drop_ins(path: str, drop_ins: Sequence[str]) -> list[str]:
    """Return those of a unit's drop-ins that nobody here wants, where the unit's file `path` is ours."""
    ours = wanted(host)
    return [each for each in drop_ins if ("file", path) in ours and ("file", each) not in ours]


@operation()
def units_stopped(units: Sequence[str], running: Sequence[str], containers: Sequence[str] = ()) -> Commands:
    """Have those of the system's `units` that are `running` stopped, and known, so that they are started again.

    + containers: of root's Docker, which run in them: a removal starts these again by their names.
    """
    for unit in units:
        want("stopped", unit)
    if not running:
        host.noop("none of them runs")
        return
    for unit in running:
        differs(unit, "running", "stopped")
    for container in containers:
        differs(f"container {container}", "running", "stopped")
    names = {"docker.service": " ".join(each for each in containers if " " not in each)}
    records = [manifest.record(manifest.Entry("stopped", unit, names.get(unit, ""))) for unit in running]
    yield all_of(*records, sh("systemctl stop {}", list(running)))

"""Units of the system's own manager."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra import host
from pyinfra.api import operation

from signalbox import manifest
from signalbox.facts.reach import SystemUnit
from signalbox.operations.commands import Commands
from signalbox.shell import all_of, sh
from signalbox.statements import differs, want


@operation()
def unit(unit: str, inputs: Mapping[str, str] | None = None, running: bool = True, at_boot: bool = True) -> Commands:
    """Have the system unit `unit` enabled, known to systemd as it is on disk, and running with its inputs.

    + inputs: SHA-256 wanted of each file that the process reads at start; the unit notes them in ExecStartPre
      (/run/signalbox/<unit>.inputs), and is restarted when it runs with others.
    + running: False: something else starts it. at_boot: False: its owner decides; ours is a drop-in.
    """
    now = host.get_fact(SystemUnit, unit=unit, inputs=tuple(inputs or ()))
    if at_boot:
        want("unit", unit)
    enabled = now.enabled or not at_boot
    current = not now.touched and all(now.started_with.get(path) == each for path, each in (inputs or {}).items())
    started = not running or (now.active and current)
    if enabled and started and not now.needs_reload:
        host.noop(f"{unit} is enabled and as wanted")
        return
    differs(f"{unit}, at boot", "enabled" if enabled else "not enabled", "enabled")
    if running:
        differs(unit, "running" if now.active else "not running", "running")
    differs(f"{unit}, as systemd has it", "older" if now.needs_reload else "on disk", "on disk")
    for path, digest in (inputs or {}).items() if now.active else ():
        if now.started_with.get(path) != digest:
            differs(f"{unit}, started with", f"another {path}", "the one that is wanted")
    steps = [sh("systemctl daemon-reload")]
    if not enabled:
        steps.append(manifest.record(manifest.Entry("unit", unit)))
        steps.append(sh("systemctl enable --quiet {}", unit))
    if running and not started:
        steps.append(sh("{{ systemctl reset-failed {} 2>/dev/null || true; }}", unit))
        steps.append(
            sh(
                "{{ systemctl restart {unit} || {{ journalctl -u {unit} -n 20 --no-pager -o cat >&2; false; }}; }}",
                unit=unit,
            )
        )
    yield all_of(*steps)

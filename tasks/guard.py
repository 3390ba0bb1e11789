"""Guard: the host's own way back from a change of its firewall or of sshd that locks its owner out."""

from __future__ import annotations

from pyinfra import host

from signalbox.desired.render import render
from signalbox.engine.deploy import deploy
from signalbox.engine.outcome import warn
from signalbox.facts.reach import Guard as GuardFact
from signalbox.operations import directories, file, nothing_waits, unit
from signalbox.settings.sections.guard import Guard
from signalbox.shell.guard import GUARD, STATE

UNITS = "/etc/systemd/system"


@deploy("Guard")
def guard(settings: Guard) -> None:
    """Have the guard in place, and nothing left that an earlier run did not live to confirm."""
    if not settings.enabled:
        return
    if restored := host.get_fact(GuardFact).restored:
        warn(restored)
    directories(name="the guard has its directories", paths=["/usr/local/lib/signalbox"])
    directories(name="what the guard keeps is root's alone", paths=["/var/lib/signalbox", STATE], mode="700")
    file(name="the guard is in place", path=GUARD, content=render("guard/guard", state=STATE), mode="755")
    for suffix, values in (
        ("service", {"state": STATE, "guard": GUARD}),
        ("timer", {"seconds": settings.armed_seconds}),
    ):
        file(
            name=f"the guard's {suffix} is in place",
            path=f"{UNITS}/signalbox-guard.{suffix}",
            content=render(f"guard/signalbox-guard.{suffix}", **values),
        )
    unit(name="the guard runs at every boot before the network is up", unit="signalbox-guard.service", running=False)
    nothing_waits(name="no change that could lock you out has been left unconfirmed")

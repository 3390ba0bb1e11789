"""Always on: what runs after a reboot, before anybody has logged in."""

from __future__ import annotations

import time

from tests.drills import looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage
from tests.lab import hosts

drill = Drill(
    "reboot",
    "the host comes back by itself",
    "After `reboot`, docker, the gateway and the launchers work before anyone logs in.",
)

GATEWAY_SECONDS = 180  # the setting gateway.start_timeout_seconds


def _nobody_logged_in() -> None:
    # A user manager kept by linger is of class "manager"; a login is of class "user".
    users = [line.split() for line in looks.answer("loginctl list-sessions --no-legend", user="root").splitlines()]
    logins = [words for words in users if "claude" in words and "user" in words]
    assert not logins, f"claude is logged in: {logins}"


def _works_before_login() -> float:
    """Return the seconds until the gateway answered, nobody having logged in as claude."""
    begun = time.monotonic()
    answered = looks.gateway_within(GATEWAY_SECONDS)
    took = time.monotonic() - begun
    _nobody_logged_in()
    assert answered, f"the gateway did not answer within {GATEWAY_SECONDS} s"
    looks.user_units()
    return took


def _launchers(stage: Stage) -> str:
    stage.simulators.clear()
    told = looks.answer("claude-local -p 'say hello'")
    looks.served(stage, "lmstudio", "say hello")
    return told


@drill.cell("reboot", fixed=True)
def reboot(stage: Stage) -> Figures:
    """After a reboot all of it works, with nobody logged in, and a plan finds nothing to do."""
    site = stage.converged()
    boot = hosts.reboot(HOST)
    gateway = _works_before_login()
    told = _launchers(stage)
    pending = site.plan().ok().planned(HOST)
    assert not pending, pending
    return {"boot": f"{boot:.1f} s", "gateway after ssh": f"{gateway:.1f} s", "claude-local": told, "plan": "clean"}


@drill.cell("power-cut")
def power_cut(stage: Stage) -> Figures:
    """After the plug was pulled and put back all of it works, with nobody logged in."""
    site = stage.converged()
    hosts.poweroff(HOST, hard=True)
    hosts.up([HOST])
    gateway = _works_before_login()
    told = _launchers(stage)
    pending = site.plan().ok().planned(HOST)
    assert not pending, pending
    return {"gateway after ssh": f"{gateway:.1f} s", "claude-local": told, "plan": "clean"}


@drill.cell("control")
def control(stage: Stage) -> Figures:
    """Without linger nothing runs after a reboot, and the deploy heals it."""
    site = stage.converged()
    looks.answer(f"loginctl disable-linger claude; loginctl disable-linger {looks.GATEWAY_USER}", user="root")
    hosts.reboot(HOST)
    figure = must_fail(looks.user_units, "linger off")
    pending = site.plan().ok().planned(HOST)
    assert any("start at boot" in name for name in pending), pending
    site.deploy().ok()
    looks.user_units()
    looks.gateway()
    assert not site.deploy().ok().changed(HOST)
    return {"control": figure, "named by the plan": "; ".join(pending)}

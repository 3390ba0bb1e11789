"""What happens to a change between arm and confirm: its controller dies, its host reboots, the next run comes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.drills import looks
from tests.drills.deployment import Site
from tests.drills.drill import Figures, must_fail
from tests.drills.lock_outs import FIREWALL, NO_SSH, NOBODY, SSHD, logins
from tests.drills.stage import HOST, Stage
from tests.lab import hosts
from tests.lab.machine import sh, wait_until

ARMED = "/var/lib/signalbox/guard/armed"
ARMED_SECONDS = 20


@dataclass(frozen=True)
class Kind:
    """A kind of guarded change. settings: that lock out. operation: what the plan calls it. loaded: shell that ends
    with 0 once it is in effect. called: what the host calls it."""

    settings: Mapping[str, Any]
    operation: str
    loaded: str
    called: str


OF_FIREWALL = Kind(NO_SSH, FIREWALL, "nft list table inet signalbox | grep -q 2222", "the firewall")
OF_SSHD = Kind(
    NOBODY,
    SSHD,
    "grep -q DenyUsers /etc/ssh/sshd_config.d/00-signalbox.conf"
    ' && [ -z "$(find /etc/ssh/sshd_config.d -cnewer /run/sshd.pid)" ]',
    "sshd",
)


def _armed_site(stage: Stage, seconds: int, kind: Kind = OF_FIREWALL) -> Site:
    """Return the shared host with its guard set to so many seconds, and the settings that lock out."""
    stage.converged()
    guard = {"guard": {"armed_seconds": seconds, "login_seconds": 3}}
    stage.site(settings=guard).deploy().ok()
    return stage.site(settings={**guard, **kind.settings})


def _killed_when_armed(site: Site, kind: Kind = OF_FIREWALL) -> None:
    """Start the deploy and kill its controller when the change is in effect and not confirmed."""
    watch = f"for i in $(seq 4800); do if [ -d {ARMED} ] && {kind.loaded}; then exit 0; fi; sleep 0.05; done; exit 1"
    running = site.start()
    try:
        sh(*hosts.inside(HOST, "sh", "-c", watch))
        assert not running.ended(), "the deploy ended by itself: the moment was missed"
    finally:
        running.kill()


def _works_again(started: float, limit: float) -> str:
    """Return after how many seconds both logins work; AssertionError when they do not within `limit`."""

    def work() -> bool:
        try:
            logins()
        except AssertionError:
            return False
        return True

    assert wait_until(work, limit - (time.monotonic() - started), 0.5), f"no login after {limit:.0f} s"
    return f"{time.monotonic() - started:.0f} s"


def _back(stage: Stage, site: Site, kind: Kind = OF_FIREWALL) -> str:
    """Return what the next plan says; then give the shared host its own settings again."""
    plan = site.plan().ok()
    assert kind.operation in plan.planned(HOST), plan.planned(HOST)
    said = f"the change of {kind.called} was taken back"
    assert f"{said} at" in plan.stderr, plan.stderr[-1500:]
    looks.gateway_within(60)  # a host that has just booted still starts it
    stage.site().deploy().ok()
    assert not stage.site().plan().ok().planned(HOST)
    return f"{kind.operation}; warning: {said}"


def controller_killed(stage: Stage, kind: Kind) -> Figures:
    """Return what is seen when it is killed once the change is in effect."""
    site = _armed_site(stage, ARMED_SECONDS, kind)
    _killed_when_armed(site, kind)
    started = time.monotonic()
    control = must_fail(logins, "the change in effect")
    again = _works_again(started, ARMED_SECONDS + 5)
    return {
        "armed for": f"{ARMED_SECONDS} s",
        "logins again after": again,
        "next plan": _back(stage, site, kind),
        "control": control,
    }


def rebooted(stage: Stage, kind: Kind) -> Figures:
    """Return what is seen when the host reboots then, armed for an hour."""
    site = _armed_site(stage, 3600, kind)
    _killed_when_armed(site, kind)
    must_fail(logins, "the change in effect")
    started = time.monotonic()
    hosts.reboot(HOST)
    again = _works_again(started, 60)
    logins(version=6)
    order = ("signalbox-guard.service", "signalbox-firewall.service", "ssh.service")
    at = [
        looks.answer(f"systemctl show -p ExecMainStartTimestampMonotonic --value {unit}", user="root") for unit in order
    ]
    assert [int(each) for each in at] == sorted(int(each) for each in at), dict(zip(order, at, strict=True))
    return {
        "armed for": "3600 s",
        "logins again after": again,
        "order at boot": " < ".join(order),
        "next plan": _back(stage, site, kind),
    }


def killed_then_deployed(stage: Stage) -> Figures:
    """A killed run's change waits to be confirmed when the next run comes: that one takes it back first."""
    site = _armed_site(stage, 3600)
    harmless = {"guard": {"armed_seconds": 3600, "login_seconds": 3}, "firewall": {"open": {"tcp/2222": ["lan"]}}}
    _killed_when_armed(stage.site(settings=harmless))
    sound = stage.site(settings={"guard": harmless["guard"]})
    planned = sound.plan().ok().planned(HOST)
    assert "Guard | no change that could lock you out has been left unconfirmed" in planned, planned
    changed = sound.deploy().ok().changed(HOST)
    assert not sound.plan().ok().planned(HOST)
    loaded = sh(*hosts.inside(HOST, "nft", "list", "table", "inet", "signalbox"))
    assert "2222" not in loaded, loaded
    stage.site().deploy().ok()
    assert site.hosts
    return {"next plan": "; ".join(planned), "next deploy": "; ".join(changed)}

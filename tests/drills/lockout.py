"""Changes that would lock their owner out: made on real hosts, and taken back without a console."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.drills import looks
from tests.drills.deployment import Run, Site
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage
from tests.lab import hosts
from tests.lab.machine import sh, wait_until

drill = Drill(
    "lockout",
    "a change that locks its owner out is taken back",
    "After each change that would lock the owner out, both logins work again within the armed time, without the "
    "console; the deploy fails and says what was taken back, and the next plan shows the drift.",
)

LOGINS = {"guard": {"login_seconds": 3}}
ARMED = "/var/lib/signalbox/guard/armed"
ARMED_SECONDS = 20
NO_SSH = {"firewall": {"ssh_ports": [2222]}}
FIREWALL = "Firewall | the firewall is as the settings say, and logins are proven"
SSHD = "SSH | sshd is configured as the settings say, and logins are proven"


@dataclass(frozen=True)
class LockOut:
    """One change. settings: what makes it. operation: what the plan calls it. says: words of the failing deploy."""

    title: str
    settings: Mapping[str, Any]
    operation: str
    says: str


def _sshd(title: str, *lines: str, says: str) -> LockOut:
    return LockOut(title, {"ssh": {"extra": list(lines)}}, SSHD, says)


LOCK_OUTS = {
    "no-ssh": LockOut("a ruleset without SSH", NO_SSH, FIREWALL, "root cannot log in any more"),
    "wrong-lan": LockOut(
        "SSH from a LAN that is not ours",
        {"firewall": {"ssh_from": ["10.99.0.0/16"]}},
        FIREWALL,
        "which firewall.ssh_from does not let in",
    ),
    "wrong-interface": LockOut(
        "SSH by an interface that is not there",
        {"firewall": {"ssh_interfaces": ["wg0"]}},
        FIREWALL,
        "root cannot log in any more",
    ),
    "port-moved": _sshd(
        "sshd's port is moved, the firewall's is not", "Port 2222", says="root cannot log in any more"
    ),
    "allow-users": _sshd("AllowUsers without the admin", "AllowUsers claude", says="root cannot log in any more"),
    "deny-agent": _sshd("DenyUsers with the service user", "DenyUsers claude", says="claude cannot log in any more"),
    "broken": _sshd("a broken drop-in", "NoSuchKeyword yes", says="Bad configuration option: NoSuchKeyword"),
    "match": _sshd(
        "a Match block that forbids the key",
        "Match User claude",
        "PubkeyAuthentication no",
        says="claude cannot log in any more",
    ),
    "key-removed": _sshd(
        "the keys are looked for where there are none",
        "AuthorizedKeysFile /etc/ssh/no-keys",
        says="root cannot log in any more",
    ),
    "forced-command": _sshd(
        "every login ends at once", "ForceCommand /bin/false", says="the login runs no command"
    ),
}  # fmt: skip


def logins(host: str = HOST, version: int = 4) -> None:
    """AssertionError unless root and the service user log in anew, from outside pyinfra."""
    for user in ("root", "claude"):
        looks.login(user, host=host, version=version)


def _in_effect(host: str = HOST) -> str:
    """Return the loaded ruleset and what sshd reads, looked at without a login."""
    show = "nft -s list table inet signalbox; cat /etc/ssh/sshd_config.d/*"
    return sh(*hosts.inside(host, "sh", "-c", show))


def _refused(run: Run, case: LockOut) -> str:
    assert run.status == 1, f"the deploy ended with {run.status}"
    said = " ".join(line.split("] ", 1)[-1] for line in run.stderr.splitlines() if HOST in line)
    assert case.says in said, f"not said: {case.says!r} in {said[-1500:]!r}"
    assert "taken back" in said, said[-1500:]
    return case.says


def _cell(case: LockOut) -> Callable[[Stage], Figures]:
    def body(stage: Stage) -> Figures:
        stage.converged()
        bad = stage.site(settings={**LOGINS, **case.settings})
        before = _in_effect()
        run = bad.deploy()
        said = _refused(run, case)
        logins()
        assert _in_effect() == before, "what is in effect is not what it was"
        planned = bad.plan().ok().planned(HOST)
        assert case.operation in planned, f"the next plan names {planned}"
        return {"deploy": f"failed after {run.seconds:.0f} s", "said": said, "next plan": case.operation}

    body.__doc__ = f"Taken back at once: {case.title}."
    return body


@drill.cell("no-ssh", fixed=True)
def no_ssh(stage: Stage) -> Figures:
    """Taken back at once: a ruleset without SSH."""
    figures = _cell(LOCK_OUTS["no-ssh"])(stage)
    sh(*hosts.inside(HOST, "nft", "insert", "rule", "inet", "signalbox", "input", "tcp", "dport", "22", "drop"))
    control = must_fail(logins, "port 22 dropped")
    sh(*hosts.inside(HOST, "systemctl", "reload", "signalbox-firewall.service"))
    logins()
    return {**figures, "control": control}


for _name, _case in LOCK_OUTS.items():
    if _name != "no-ssh":
        drill.cell(_name)(_cell(_case))


def _armed_site(stage: Stage, seconds: int) -> Site:
    """Return the shared host with its guard set to so many seconds, and the settings that lock out."""
    stage.converged()
    guard = {"guard": {"armed_seconds": seconds, "login_seconds": 3}}
    stage.site(settings=guard).deploy().ok()
    return stage.site(settings={**guard, **NO_SSH})


def _killed_when_armed(site: Site) -> None:
    """Start the deploy and kill its controller when the change is in effect and not confirmed."""
    running = site.start()
    try:
        sh(*hosts.inside(HOST, "sh", "-c", _WATCH))
        assert not running.ended(), "the deploy ended by itself: the moment was missed"
    finally:
        running.kill()


_WATCH = (
    f"for i in $(seq 4800); do if [ -d {ARMED} ] && nft list table inet signalbox | grep -q 2222; then exit 0; fi;"
    " sleep 0.05; done; exit 1"
)


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


def _back(stage: Stage, site: Site) -> str:
    """Return what the next plan says; then give the shared host its own settings again."""
    plan = site.plan().ok()
    assert FIREWALL in plan.planned(HOST), plan.planned(HOST)
    assert "was taken back at" in plan.stderr, plan.stderr[-1500:]
    looks.gateway_within(60)  # a host that has just booted still starts it
    stage.site().deploy().ok()
    assert not stage.site().plan().ok().planned(HOST)
    return f"{FIREWALL}; warning: the change of the firewall was taken back"


@drill.cell("controller-killed")
def controller_killed(stage: Stage) -> Figures:
    """The controller is killed between arm and confirm: the host takes the change back by itself."""
    site = _armed_site(stage, ARMED_SECONDS)
    _killed_when_armed(site)
    started = time.monotonic()
    control = must_fail(logins, "the change in effect")
    again = _works_again(started, ARMED_SECONDS + 5)
    return {
        "armed for": f"{ARMED_SECONDS} s",
        "logins again after": again,
        "next plan": _back(stage, site),
        "control": control,
    }


@drill.cell("rebooted")
def rebooted(stage: Stage) -> Figures:
    """The host reboots between arm and confirm: the change is gone before the network is up."""
    site = _armed_site(stage, 3600)
    _killed_when_armed(site)
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
        "next plan": _back(stage, site),
    }


@drill.cell("killed-then-deployed")
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


@drill.cell("ipv6-only")
def ipv6_only(stage: Stage) -> Figures:
    """The deploy comes over IPv6: it converges so, and rules for IPv4 alone are taken back."""
    stage.converged()
    of_host = {HOST: {"ssh_hostname": hosts.address(HOST, 6)}}
    assert not stage.site(of_host=of_host).deploy().ok().changed(HOST)
    narrow = {"firewall": {"ssh_from": [f"{hosts.address(HOST)}/32", "198.18.0.0/15"]}}
    run = stage.site(settings={**LOGINS, **narrow}, of_host=of_host).deploy()
    said = _refused(run, LockOut("", {}, "", "which firewall.ssh_from does not let in"))
    logins(version=6)
    logins()
    return {"over IPv6": "no change", "rules for IPv4 alone": f"failed after {run.seconds:.0f} s", "said": said}


@drill.cell("admin")
def admin(stage: Stage) -> Figures:
    """The deploy comes as an admin with sudo: rules that shut that one out are taken back."""
    stage.converged()
    hosts.add_admin(HOST, "admin")
    of_host = {HOST: {"ssh_user": "admin", "connection": {"sudo": True}}}
    settings = {**LOGINS, "ssh": {"extra": ["DenyUsers admin"]}}
    run = stage.site(settings=settings, of_host=of_host).deploy()
    said = _refused(run, LockOut("", {}, "", "admin cannot log in any more"))
    looks.login("admin")
    logins()
    return {"deploy": f"failed after {run.seconds:.0f} s", "said": said}


@drill.cell("untested")
def untested(stage: Stage) -> Figures:
    """A file of sshd that a person wrote and sshd has not read yet is not put in effect: the deploy says so first."""
    site = stage.converged()
    looks.answer("echo 'Port 2222' > /etc/ssh/sshd_config.d/50-mine.conf", user="root")
    run = site.deploy()
    assert run.status == 1
    assert "sshd has not read /etc/ssh/sshd_config.d/50-mine.conf yet" in run.stderr, run.stderr[-1500:]
    logins()
    looks.answer("rm /etc/ssh/sshd_config.d/50-mine.conf", user="root")
    assert not site.deploy().ok().changed(HOST)
    return {"deploy": f"failed after {run.seconds:.0f} s, before anything was changed"}


@drill.cell("host-key")
def host_key(stage: Stage) -> Figures:
    """The one host key that the controller knows is of a kind that sshd would no longer offer."""
    stage.converged()
    looks.answer("rm /etc/ssh/sshd_config.d/00-signalbox.conf && systemctl reload ssh", user="root")
    key = looks.answer("cut -d' ' -f1,2 /etc/ssh/ssh_host_ecdsa_key.pub", user="root")
    run = stage.site(settings=LOGINS, of_host={HOST: {"connection": {"host_key": key}}}).deploy()
    said = _refused(run, LockOut("", {}, "", "root cannot log in any more"))
    logins()
    assert stage.site().deploy().ok().changed(HOST) == [SSHD]
    return {"deploy": f"failed after {run.seconds:.0f} s", "said": said}

"""Changes that would lock their owner out: made on real hosts, and taken back without a console."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import paramiko

from tests.drills import looks
from tests.drills.deployment import Run, Site
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.lock_outs import FIREWALL, LOCK_OUTS, NO_SSH, NOBODY, SSHD, LockOut
from tests.drills.stage import HOST, Stage
from tests.lab import access, hosts
from tests.lab.instance import Lab
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
LEFTOVERS = "Leftovers | nothing is left of what earlier settings asked for"
PASSWORD = "a-password-of-the-drill"  # noqa: S105


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


@drill.cell("last-key")
def last_key(stage: Stage) -> Figures:
    """The settings name another key in place of the one that this machine has: it is given back."""
    stage.converged()
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
    site = stage.site(settings={**LOGINS, "service_user": {"authorized_keys": [other]}})
    run = site.deploy()
    assert run.status == 1, run.status
    said = _refused(run, LockOut("", {}, "", "let another key of this machine in first"))
    logins()
    planned = site.plan().ok().planned(HOST)
    assert planned == [LEFTOVERS], planned
    healed = stage.site().deploy().ok().changed(HOST)
    assert healed == [LEFTOVERS], healed  # the other key goes: with it gone, this machine still gets in
    assert other not in looks.answer("cat ~/.ssh/authorized_keys")
    logins()
    return {"deploy": f"failed after {run.seconds:.0f} s", "said": said, "next plan": planned[0]}


@drill.cell("switched-off")
def switched_off(stage: Stage) -> Figures:
    """The settings, and then remove.py, give sshd back to what a person wrote beside it, and that shuts root out."""
    stage.converged()
    mine = "/etc/ssh/sshd_config.d/50-mine.conf"
    looks.answer(f"echo 'PermitRootLogin no' > {mine} && systemctl reload ssh && sleep 1", user="root")
    logins()  # our own word comes first, as long as it is there
    before = _in_effect()
    off = stage.site(settings={**LOGINS, "ssh": {"enabled": False}})
    run = off.deploy()
    said = _refused(run, LockOut("", {}, "", "root cannot log in any more"))
    logins()
    assert _in_effect() == before, "what is in effect is not what it was"
    planned = off.plan().ok().planned(HOST)
    assert planned == [LEFTOVERS], planned
    removal = off.remove()
    _refused(removal, LockOut("", {}, "", "root cannot log in any more"))
    logins()
    looks.gateway()  # it ended there, before anything else was taken away
    looks.answer(f"rm {mine} && systemctl reload ssh && sleep 1", user="root")
    gone = off.deploy().ok().changed(HOST)
    assert gone == [LEFTOVERS], gone
    effective = looks.answer("sshd -T | grep ^maxauthtries; ls /etc/ssh/sshd_config.d", user="root")
    assert effective == "maxauthtries 6", effective
    logins()
    assert stage.site().deploy().ok().changed(HOST) == [SSHD]
    return {
        "deploy": f"failed after {run.seconds:.0f} s",
        "said": said,
        "next plan": planned[0],
        "remove.py": f"failed after {removal.seconds:.0f} s, with all else in place",
        "without that file": "sshd is as Debian has it, and logins work",
    }


def _controller_killed(stage: Stage, kind: Kind) -> Figures:
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


@drill.cell("controller-killed")
def controller_killed(stage: Stage) -> Figures:
    """The controller is killed between arm and confirm: the host takes the change back by itself."""
    return _controller_killed(stage, OF_FIREWALL)


@drill.cell("controller-killed-sshd")
def controller_killed_sshd(stage: Stage) -> Figures:
    """The same with a change of sshd."""
    return _controller_killed(stage, OF_SSHD)


def _rebooted(stage: Stage, kind: Kind) -> Figures:
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


@drill.cell("rebooted")
def rebooted(stage: Stage) -> Figures:
    """The host reboots between arm and confirm: the change is gone before the network is up."""
    return _rebooted(stage, OF_FIREWALL)


@drill.cell("rebooted-sshd")
def rebooted_sshd(stage: Stage) -> Figures:
    """The same with a change of sshd."""
    return _rebooted(stage, OF_SSHD)


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


@drill.cell("two-controllers")
def two_controllers(stage: Stage) -> Figures:
    """Two machines deploy to one host, from addresses that no setting names: each is spared, and finds no drift."""
    stage.converged()
    settings = {"fail2ban": {"ignored": []}, "ssh": {"unpunished": ["controller"]}}
    first = stage.site(settings=settings)
    second = stage.site(settings=settings, of_host={HOST: {"ssh_hostname": hosts.address(HOST, 6)}})
    lab = Lab.current()

    def spared() -> list[str]:
        told = looks.answer("fail2ban-client get sshd ignoreip; sshd -T | grep -i exempt", user="root")
        return [address for address in (lab.ipv4(1), lab.ipv6(1)) if told.count(address) == 2]

    first.deploy().ok()
    control = spared()
    assert control == [lab.ipv4(1)], control
    assert second.plan().ok().planned(HOST), "a machine that was never seen is known"
    second.deploy().ok()
    assert spared() == [lab.ipv4(1), lab.ipv6(1)], spared()
    for site in (first, second):
        assert not site.plan().ok().planned(HOST), site.plan().planned(HOST)
    stage.site().deploy().ok()
    looks.answer("rm /var/lib/signalbox/controllers", user="root")
    assert not stage.site().plan().ok().planned(HOST)
    return {
        "spared": f"{lab.ipv4(1)}, {lab.ipv6(1)}",
        "plan of either": "no change",
        "control": f"before: {control[0]}",
    }


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


@drill.cell("banned")
def banned(stage: Stage) -> Figures:
    """The controller is banned by hand, and by limits that spare nobody: it gets in all the same."""
    site = stage.converged()
    controller = Lab.current().ipv4(1)
    looks.answer(f"fail2ban-client set sshd banip {controller}", user="root")
    held = looks.answer("nft list set inet f2b-table addr-set-sshd", user="root")
    assert controller in held, held
    logins()
    assert not site.deploy().ok().changed(HOST), "a ban made the deploy change something"
    handle = "nft -a list chain inet f2b-table f2b-chain | sed -n 's/.*@addr-set-sshd .*# handle //p'"
    stock = "tcp dport 22 ip saddr @addr-set-sshd reject"  # as Debian writes it
    sh(*hosts.inside(HOST, "sh", "-c", f"nft replace rule inet f2b-table f2b-chain handle $({handle}) {stock}"))
    control = must_fail(logins, "Debian's own rule for bans")
    sh(*hosts.inside(HOST, "systemctl", "restart", "fail2ban"))
    logins()
    strict = {"fail2ban": {"ignored": [], "max_failures": 1}, "ssh": {"unpunished": ["lan"]}}
    for _ in range(3):
        must_fail(lambda: looks.login("nobody-of-that-name"), "a user that is not there")
    strict_site = stage.site(settings=strict)
    strict_site.deploy().ok()
    must_fail(lambda: looks.login("nobody-of-that-name"), "a user that is not there")
    logins()
    assert not strict_site.plan().ok().planned(HOST)
    spared = looks.answer("fail2ban-client get sshd ignoreip", user="root")
    stage.site().deploy().ok()
    assert controller in spared, spared
    return {
        "banned by hand": "both logins work, the deploy changes nothing",
        "ignored = [], max_failures = 1, 4 failures": "both logins work",
        "control": control,
    }


def _password_login() -> None:
    """AssertionError unless the service user's password opens its door."""
    client = paramiko.SSHClient()
    client.load_host_keys(access.known_hosts(Lab.current()))
    try:
        address = hosts.address(HOST)
        client.connect(address, 22, "claude", PASSWORD, allow_agent=False, look_for_keys=False, timeout=10)
    except (paramiko.SSHException, OSError) as error:
        raise AssertionError(f"no login by password: {error}") from error
    finally:
        client.close()


@drill.cell("no-key")
def no_key(stage: Stage) -> Figures:
    """No key opens the service user's door: password login stays on, and the plan and the deploy say why."""
    site = stage.converged()
    why = "password login stays on: no key of this machine logs in as claude"
    lose = "mv /home/claude/.ssh/authorized_keys /root/kept && rm /etc/ssh/sshd_config.d/00-signalbox.conf"
    looks.answer(f"{lose} && systemctl reload ssh && echo claude:{PASSWORD} | chpasswd", user="root")
    keyless = stage.site(settings={"service_user": {"authorized_keys": []}, "leftovers": {"enabled": False}})
    plan = keyless.plan().ok()
    assert SSHD in plan.planned(HOST), plan.planned(HOST)
    assert why in plan.stderr, plan.stderr[-1500:]
    deploy = keyless.deploy().ok()
    assert why in deploy.stderr, deploy.stderr[-1500:]
    effective = looks.answer("sshd -T | grep ^passwordauthentication", user="root")
    assert effective == "passwordauthentication yes", effective
    _password_login()
    assert not keyless.plan().ok().planned(HOST), "the plan is not clean while it stays on"
    looks.answer("cat /root/kept > /home/claude/.ssh/authorized_keys; rm /root/kept", user="root")
    looks.answer("chown claude:claude /home/claude/.ssh/authorized_keys", user="root")
    looks.answer("chmod 600 /home/claude/.ssh/authorized_keys", user="root")
    healed = site.deploy().ok()
    assert healed.changed(HOST) == [SSHD], healed.changed(HOST)
    control = must_fail(_password_login, "a key that opens the door")
    looks.answer("usermod -p '*' claude", user="root")
    logins()
    return {"plan and deploy": why, "in effect": effective, "login by password": "works", "control": control}

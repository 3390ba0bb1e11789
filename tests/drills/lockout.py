"""Changes that would lock their owner out: made on real hosts, and taken back without a console."""

from __future__ import annotations

from collections.abc import Callable

import paramiko

from tests.drills import looks, tunnel, unconfirmed
from tests.drills.deployment import Run
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.lock_outs import KERNEL, LOCK_OUTS, SSHD, LockOut, logins
from tests.drills.stage import HOST, Stage
from tests.lab import access, hosts
from tests.lab.instance import Lab
from tests.lab.machine import sh

drill = Drill(
    "lockout",
    "a change that locks its owner out is taken back",
    "After each change that would lock the owner out, both logins work again within the armed time, without the "
    "console; the deploy fails and says what was taken back, and the next plan shows the drift.",
)

LOGINS = {"guard": {"login_seconds": 3}}
DOCTOR = "Doctor | claude-doctor knows what this host shall be"
LEFTOVERS = "Leftovers | nothing is left of what earlier settings asked for"
PASSWORD = "a-password-of-the-drill"  # noqa: S105


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
    assert healed == [DOCTOR, LEFTOVERS], healed  # the other key goes: with it gone, this machine still gets in
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
    assert stage.site().deploy().ok().changed(HOST) == [SSHD, DOCTOR]
    return {
        "deploy": f"failed after {run.seconds:.0f} s",
        "said": said,
        "next plan": planned[0],
        "remove.py": f"failed after {removal.seconds:.0f} s, with all else in place",
        "without that file": "sshd is as Debian has it, and logins work",
    }


@drill.cell("controller-killed")
def controller_killed(stage: Stage) -> Figures:
    """The controller is killed between arm and confirm: the host takes the change back by itself."""
    return unconfirmed.controller_killed(stage, unconfirmed.OF_FIREWALL)


@drill.cell("controller-killed-sshd")
def controller_killed_sshd(stage: Stage) -> Figures:
    """The controller is killed between arm and confirm of a change of sshd."""
    return unconfirmed.controller_killed(stage, unconfirmed.OF_SSHD)


@drill.cell("rebooted")
def rebooted(stage: Stage) -> Figures:
    """The host reboots between arm and confirm: the change is gone before the network is up."""
    return unconfirmed.rebooted(stage, unconfirmed.OF_FIREWALL)


@drill.cell("rebooted-sshd")
def rebooted_sshd(stage: Stage) -> Figures:
    """The host reboots between arm and confirm of a change of sshd."""
    return unconfirmed.rebooted(stage, unconfirmed.OF_SSHD)


drill.cell("killed-then-deployed")(unconfirmed.killed_then_deployed)
drill.cell("tunnel")(tunnel.only_way_in)


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


@drill.cell("other-uplink")
def other_uplink(stage: Stage) -> Figures:
    """Strict reverse paths on a host whose answers go another way: the host takes them back, as nobody reaches it."""
    stage.converged()
    key, controller, table = "net.ipv4.conf.all.rp_filter", Lab.current().ipv4(1), "table 100"
    guard = {"guard": {"armed_seconds": unconfirmed.ARMED_SECONDS, "login_seconds": 3}}
    stage.site(settings={**guard, "hardening": {"sysctl": {key: 2}}}).deploy().ok()

    def inside(*lines: str) -> str:
        return sh(*hosts.inside(HOST, "sh", "-ec", "\n".join(lines)))

    # By its routes the way to the controller is up0; a mark sends the answers by host0 all the same.
    inside(
        "ip link add up0 type veth peer name up1 && ip link set up0 up && ip link set up1 up",
        f"ip route add {controller}/32 dev host0 {table} && ip rule add fwmark 1 lookup 100",
        "nft 'add table ip drill; add chain ip drill out { type route hook output priority 0; }'",
        f"nft add rule ip drill out ip daddr {controller} meta mark set 1",
        f"ip route add {controller}/32 dev up0",
        "sysctl -qw net.ipv4.conf.host0.rp_filter=0",
    )
    try:
        logins()
        inside(f"sysctl -qw {key}=1")
        control = must_fail(logins, "the setting in effect")
        inside(f"sysctl -qw {key}=2")
        run = stage.site(settings=guard).deploy()
        said = _refused(run, LockOut("", {}, "", f"write 2 for hardening.sysctl's {key}"))
        logins()
        assert inside(f"sysctl -n {key}; grep {key} /etc/sysctl.d/60-signalbox.conf").split() == [
            "2",
            f"-{key}",
            "=",
            "2",
        ]
        planned = stage.site(settings=guard).plan().ok().planned(HOST)
        assert planned == [KERNEL, DOCTOR], planned  # the run ended before the doctor was told
    finally:
        inside("ip rule del fwmark 1; nft delete table ip drill; ip link del up0")
    stage.site().deploy().ok()
    assert not stage.site().plan().ok().planned(HOST)
    return {"deploy": f"failed after {run.seconds:.0f} s", "said": said, "next plan": planned[0], "control": control}


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
    assert healed.changed(HOST) == [SSHD, DOCTOR], healed.changed(HOST)
    control = must_fail(_password_login, "a key that opens the door")
    looks.answer("usermod -p '*' claude", user="root")
    logins()
    return {"plan and deploy": why, "in effect": effective, "login by password": "works", "control": control}

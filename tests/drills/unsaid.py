"""Nothing of a person's is changed unsaid: what a deploy would shut or stop is named before, and needs a word."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from tests.drills import came_in, generated, looks, old_behaviour
from tests.drills.deployment import Run, Site
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import Stage, lab_host
from tests.lab import hosts
from tests.lab.machine import wait_until

drill = Drill(
    "unsaid",
    "what people use a host for already",
    "A first plan and deploy name each service that the firewall would shut and each container that would be stopped, "
    "and change nothing before the settings say so; remove.py starts them again. A change that makes an operation's "
    "name untrue is named by the plan, and nothing else is. What was seen once, each with what shows it now: "
    "[unsaid_rows.md](unsaid_rows.md).",
    rows=old_behaviour.write_page,
)

USED = lab_host("used")  # a host that was somebody's before
SERVE = "perl -MIO::Socket -e '$s = IO::Socket::INET->new(LocalPort => {}, Listen => 5, ReuseAddr => 1) or die; "
SERVE += 'while ($c = $s->accept) {{ print $c "theirs\\n"; close $c }}\''


def _serving(port: int, name: str) -> None:
    """Have a service of a person's on the host, which greets whoever connects to this port."""
    unit = f"[Service]\nExecStart=/usr/local/bin/{name}\n[Install]\nWantedBy=multi-user.target\n"
    looks.answer(
        f"printf '#!/bin/sh\\nexec %s\\n' {looks.quoted(SERVE.format(port))} > /usr/local/bin/{name}"
        f" && chmod 755 /usr/local/bin/{name} && printf %s {looks.quoted(unit)} > /etc/systemd/system/{name}.service"
        f" && systemctl daemon-reload && systemctl enable --quiet --now {name}.service",
        host=USED,
        user="root",
    )
    assert wait_until(lambda: _greets(port), 10, 0.2), f"{name} does not answer"


def _greets(port: int) -> bool:
    """Return whether the service at this port greets this machine."""
    try:
        with socket.create_connection((hosts.address(USED), port), timeout=3) as connection:
            return b"theirs" in connection.recv(64)
    except OSError:
        return False


def _nothing_changed() -> None:
    looks.answer("! test -e /var/lib/signalbox && ! test -e /etc/signalbox && ! id claude", host=USED, user="root")


def _refused(site: Site, *words: str) -> str:
    """AssertionError unless plan and deploy of the used host name all of this, and leave it as it is."""
    plan = site.signalbox("plan")
    _unknown(plan)
    for run in (plan, site.deploy()):
        told = run.stdout + run.stderr
        assert run.status == 1, told[-2000:]
        assert not [word for word in words if word not in told], told[-3000:]
        _nothing_changed()
    return ", ".join(words)


def _unknown(plan: Run) -> None:
    assert plan.status == 1, plan.stdout[-3000:]
    assert "nothing was changed" in plan.stdout, plan.stdout[-3000:]


@drill.cell("shut", fixed=True)
def shut(stage: Stage) -> Figures:
    """A first plan and deploy name the services that the firewall would shut, and leave the host as it is."""
    stage.bare(USED)
    _serving(445, "shares")
    _serving(5432, "records")
    named = _refused(stage.site(USED), "tcp/445 (perl of shares.service)", "tcp/5432 (perl of records.service)")
    said = {"firewall": {"shut": ["tcp/445"], "open": {"tcp/5432": ["lan"]}}}
    plan = stage.site(USED, settings=said).signalbox("plan")
    assert plan.status == 2, f"not planned with the settings' word: {plan.stdout[-3000:]}"
    control = must_fail(lambda: _unknown(plan), "the settings' word")
    stage.discard(USED)
    return {"refused": named, "control": control}


@drill.cell("shut-said")
def shut_said(stage: Stage) -> Figures:
    """With the settings' word one is shut and one let in; a converged host is not asked again, and plans clean."""
    stage.bare(USED)
    _serving(445, "shares")
    _serving(5432, "records")
    site = stage.site(USED, settings={"firewall": {"shut": ["tcp/445"], "open": {"tcp/5432": ["lan"]}}})
    first = site.signalbox("plan")
    assert "tcp/445 (perl of shares.service): reached by others → shut" in first.stdout, first.stdout[-3000:]
    site.deploy().ok()
    assert _greets(5432), "what the settings let in is shut"
    assert not _greets(445), "what shall be shut answers"
    plain = stage.site(USED, settings={"firewall": {"shut": [], "open": {"tcp/5432": ["lan"]}}})
    again = plain.plan().ok().planned(USED)
    assert not again, f"a converged host is asked again: {again}"
    state = looks.answer("systemctl is-active shares.service", host=USED, user="root")
    stage.discard(USED)
    return {"let in": "tcp/5432", "shut": f"tcp/445, its service {state}", "next plan": "no change"}


# What these cells do not look at.
SMALL = {name: {"enabled": False} for name in ("toolchain", "secrets", "gateway", "launchers", "doctor")}
TINY = "tar -C / -chf - bin/sleep lib64/ld-linux-x86-64.so.2 lib/x86_64-linux-gnu/libc.so.6"
APT = "DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends"


def _as_root(command: str, timeout: float = 240) -> str:
    return looks.answer(command, host=USED, user="root", timeout=timeout)


def _containers() -> set[str]:
    return set(_as_root("docker -H unix:///run/docker.sock ps --format '{{.Names}}'").split())


@drill.cell("root-docker")
def root_docker(stage: Stage) -> Figures:
    """Containers of root's Docker are named, and not stopped unsaid; remove.py starts them again."""
    stage.bare(USED)
    _as_root(
        f"apt-get -q update >/dev/null; {APT} docker.io docker-cli iptables && systemctl start docker"
        f" && {TINY} | docker import - tiny && docker volume create theirs"
        " && docker run -d --name web --network none tiny /bin/sleep 1000000"
        " && docker run -d --name records --restart always --network none -v theirs:/data tiny /bin/sleep 1000000"
        " && echo theirs > /var/lib/docker/volumes/theirs/_data/record"
    )
    assert _containers() == {"web", "records"}
    named = _refused(stage.site(USED, settings=SMALL), "containers run in it: records, web")
    site = stage.site(USED, settings={**SMALL, "rootless_docker": {"replaces_root": True}})
    plan = site.signalbox("plan")
    assert "container web: running → stopped" in plan.stdout, plan.stdout[-3000:]
    site.deploy().ok()
    control = must_fail(_containers, "root's Docker stopped")
    again = stage.site(USED, settings=SMALL).plan().ok().planned(USED)
    assert not again, f"a converged host is asked again: {again}"
    # Ours as a whole: what a section that goes leaves behind is put right.
    stage.site(USED, settings={**SMALL, "fail2ban": {"enabled": False}}).deploy().ok()
    assert "inactive" in _as_root("systemctl is-active fail2ban.service || true")
    site.remove().ok()
    assert _containers() == {"web", "records"}, "remove.py did not start what ran before"
    assert _as_root("cat /var/lib/docker/volumes/theirs/_data/record") == "theirs"
    stage.discard(USED)
    return {
        "refused": named,
        "after remove.py": "both run again",
        "fail2ban switched off": "exit 0",
        "control": control,
    }


@drill.cell("own-jails")
def own_jails(stage: Stage) -> Figures:
    """A person's jails go on with their own limits, one whose log lies below /home too, and sshd's has ours."""
    stage.bare(USED)
    _as_root(
        f"apt-get -q update >/dev/null; {APT} fail2ban python3-systemd nftables"
        " && useradd -m them && install -d -o them /home/them/web && touch /home/them/web/access.log"
        " && printf '[DEFAULT]\\nbantime = 86400\\n' > /etc/fail2ban/jail.local"
        " && printf '[web]\\nenabled = true\\nbackend = polling\\nfilter = apache-auth\\nlogpath ="
        " /home/them/web/access.log\\n' > /etc/fail2ban/jail.d/web.local && systemctl restart fail2ban"
    )

    def jails() -> dict[str, str]:
        assert wait_until(lambda: "web" in _as_root("fail2ban-client status web 2>&1 || true"), 10, 0.5)
        return {each: _as_root(f"fail2ban-client get {each} bantime") for each in ("web", "sshd")}

    assert jails() == {"web": "86400", "sshd": "86400"}
    site = stage.site(USED, settings=SMALL)
    site.deploy().ok()
    ours = jails()
    assert ours["web"] == "86400", ours
    assert ours["sshd"] != "86400", ours
    again = site.plan().ok().planned(USED)
    assert not again, again
    _as_root(
        "printf '[Service]\\nProtectHome=yes\\n' > /etc/systemd/system/fail2ban.service.d/zz.conf"
        " && systemctl daemon-reload && systemctl restart fail2ban; sleep 3"
    )
    control = must_fail(lambda: _as_root("fail2ban-client status sshd"), "homes hidden from fail2ban")
    _as_root("rm /etc/systemd/system/fail2ban.service.d/zz.conf && systemctl daemon-reload")
    _as_root("systemctl reset-failed fail2ban; systemctl restart fail2ban")
    stage.site(USED, settings={**SMALL, "fail2ban": {"enabled": False}}).deploy().ok()
    assert jails()["web"] == "86400"
    stage.discard(USED)
    return {"bantime of theirs": ours["web"], "of sshd's": ours["sshd"], "switched off": "exit 0", "control": control}


@dataclass(frozen=True)
class Change:
    """A change of somebody's that makes a name untrue. named: the plan's line. undo: sh; "": a deploy heals it."""

    do: str
    named: str
    undo: str = ""


USER_UNITS = "/home/litellm/.config/systemd/user"
AS_KEEPER = "systemctl --user --machine=litellm@.host daemon-reload"
CHANGES = {
    "a Match block": Change(
        "printf 'Match User claude\\n PasswordAuthentication yes\\n' > /etc/ssh/sshd_config.d/50-their.conf"
        " && systemctl reload ssh && sleep 1",
        "sshd: a Match block lets claude in by password",
        "rm /etc/ssh/sshd_config.d/50-their.conf && systemctl reload ssh && sleep 1",
    ),
    "an expired account": Change("usermod --expiredate 2001-01-01 claude", "user claude, account: expired → valid"),
    "a drop-in of the firewall": Change(
        "mkdir /etc/systemd/system/signalbox-firewall.service.d && printf '[Unit]\\nConditionPathExists=/nowhere\\n'"
        " > /etc/systemd/system/signalbox-firewall.service.d/their.conf && systemctl daemon-reload",
        "signalbox-firewall.service, changed by /etc/systemd/system/signalbox-firewall.service.d/their.conf",
        "rm -r /etc/systemd/system/signalbox-firewall.service.d && systemctl daemon-reload",
    ),
    "a later sysctl file": Change(
        "echo kernel.dmesg_restrict = 0 > /etc/sysctl.d/99-their.conf",
        "the kernel's settings at boot, kernel.dmesg_restrict: 0 → 1",
        "rm /etc/sysctl.d/99-their.conf",
    ),
    "a later jail": Change(
        "printf '[sshd]\\nmaxretry = 500\\n' > /etc/fail2ban/jail.d/zz-their.local",
        "fail2ban, maxretry: 500 → ",
        "rm /etc/fail2ban/jail.d/zz-their.local",
    ),
    "a later apt file": Change(
        "echo 'APT::Periodic::Unattended-Upgrade \"0\";' > /etc/apt/apt.conf.d/99their",
        "unattended upgrades, Unattended-Upgrade: 0 → 1",
        "rm /etc/apt/apt.conf.d/99their",
    ),
    "a masked timer": Change(
        "systemctl mask --quiet apt-daily-upgrade.timer",
        "unattended upgrades, apt-daily-upgrade.timer: masked → enabled",
        "systemctl unmask --quiet apt-daily-upgrade.timer",
    ),
    "a drop-in of the gateway": Change(
        f"mkdir {USER_UNITS}/litellm.service.d && printf '[Service]\\nNice=5\\n'"
        f" > {USER_UNITS}/litellm.service.d/their.conf && {AS_KEEPER}",
        f"litellm.service of litellm, changed by {USER_UNITS}/litellm.service.d/their.conf",
        f"rm -r {USER_UNITS}/litellm.service.d && {AS_KEEPER}",
    ),
}
NO_SBIN = "PATH=/usr/local/bin:/usr/bin:/bin"


def _lines(site: Site) -> list[str]:
    """Return what the plan says will be changed, a line for each difference; AssertionError unless it is known."""
    run = site.signalbox("plan", "--json")
    (report,) = json.loads(run.stdout)["hosts"]
    assert report["verdict"] != "unknown", report["problems"]
    return [line for change in report["changes"] for line in (change["differences"] or [change["operation"]])]


@drill.cell("promises")
def promises(stage: Stage) -> Figures:
    """Whatever makes an operation's name untrue is named by the plan, a deploy says who did it, and nothing else is."""
    site = stage.converged()
    control = must_fail(lambda: _named(_lines(site)), "nothing changed")
    try:
        for each in CHANGES.values():
            looks.answer(each.do, user="root")
        lines = _lines(site)
        _named(lines)
        more = [line for line in lines if not any(line.startswith(each.named) for each in CHANGES.values())]
        assert not more, f"named beside: {more}"
        failed = site.deploy()
        assert failed.status, "a deploy calls all of it well"
        assert "/etc/apt/apt.conf.d/99their makes Unattended-Upgrade 0" in failed.stderr, failed.stderr[-3000:]
    finally:
        for each in CHANGES.values():
            looks.answer(each.undo or "true", user="root")
    site.deploy().ok()
    looks.answer(f"cp -p /etc/environment /root/environment && echo {NO_SBIN} > /etc/environment", user="root")
    assert "sbin" not in looks.answer("echo $PATH", user="root")
    try:
        left = _lines(site)
    finally:
        looks.answer("mv /root/environment /etc/environment", user="root")
    assert not left, f"named on a host that is as it shall be, without sbin in its PATH: {left}"
    return {"named": ", ".join(CHANGES), "named beside": "nothing", "control": control}


def _named(lines: Sequence[str]) -> None:
    unnamed = [what for what, each in CHANGES.items() if not any(line.startswith(each.named) for line in lines)]
    assert not unnamed, f"not named: {unnamed}; the plan names {lines}"


drill.cell("came-in")(came_in.came_in)
drill.cell("generated")(generated.generated)
drill.cell("old-behaviour")(old_behaviour.old_behaviour)

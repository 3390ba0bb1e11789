"""The hardening as tools see it that nobody here wrote, and a host that has given it back."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from signalbox.desired.sshd import CLASSIC
from tests.drills import looks, record
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage, lab_host
from tests.lab import hosts
from tests.lab.machine import wait_until

drill = Drill(
    "measured",
    "the hardening by tools that nobody here wrote, and a host that is as it was before",
    "ssh-audit without a failure, with no warning but that of the one classic key exchange, post-quantum ones first; "
    "nmap from a second host finds the port of sshd alone; every point that lynis' index lacks is listed in "
    "docs/hardening.md with its worth and the reason; the units' sandboxes are as tight as it "
    "says; reboots of unattended upgrades happen when the setting says; remove.py gives sshd, rules and limits back.",
)

OTHER, GONE = lab_host("other"), lab_host("gone")
GATEWAY_EXPOSURE, FAIL2BAN_EXPOSURE, LYNIS_INDEX = 1.0, 2.5, 77
STOCK = (6, 13)  # failures and warnings of ssh-audit for Debian 13 as it comes
SCHEDULED = "/run/systemd/shutdown/scheduled"
KERNEL = (
    r"^net\.ipv[46]\.conf\.(all|default)\.(accept_redirects|log_martians|rp_filter|send_redirects) "
    r"|^kernel\.(core_|ctrl|dmesg_|kptr_|unpriv|yama)|^fs\.(protected_|suid_)|^dev\.tty"
)
BASE_ALONE = {
    section: {"enabled": False}
    for section in ("rootless_docker", "toolchain", "secrets", "gateway", "launchers", "doctor")
}


def _installed(tool: str, host: str) -> None:
    install = f"apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -yq --no-install-recommends install {tool}"
    looks.answer(f"command -v {tool} || {{ {install}; }} >/dev/null", host=host, user="root", timeout=600)


def _exposure(unit: str, user: str = "") -> float:
    words = f"systemd-analyze {'--user ' if user else ''}security {unit} --no-pager | tail -n1"
    if user:
        words = f"runuser -u {user} -- env XDG_RUNTIME_DIR=/run/user/$(id -u {user}) {words}"
    found = re.search(r"level for \S+: ([\d.]+)", looks.answer(words, user="root"))
    assert found, f"systemd-analyze says nothing of {unit}"
    return float(found[1])


def _tight(unit: str, most: float, user: str = "") -> float:
    exposure = _exposure(unit, user)
    assert exposure <= most, f"{unit} is at {exposure}, more than {most}"
    return exposure


@drill.cell("units", fixed=True)
def units(stage: Stage) -> Figures:
    """The sandboxes of fail2ban and of the gateway, by systemd-analyze security."""
    stage.converged()
    fail2ban = _tight("fail2ban.service", FAIL2BAN_EXPOSURE)
    gateway = _tight("litellm.service", GATEWAY_EXPOSURE, looks.GATEWAY_USER)
    # Debian's own unit, under a name for which there is no drop-in.
    stock = "install -m 644 /usr/lib/systemd/system/fail2ban.service /run/stock-fail2ban.service"
    looks.answer(stock, user="root")
    before = _exposure("--offline=true /run/stock-fail2ban.service")
    told = json.loads(looks.answer("systemd-analyze security fail2ban.service --no-pager --json=short", user="root"))
    left = {each["name"].rstrip("="): float(each["exposure"]) for each in told if float(each["exposure"] or 0) > 0}
    page = (record.PROJECT / "docs" / "hardening.md").read_text()

    def all_listed(names: Iterable[str]) -> None:
        section = page.split("for fail2ban's unit")[1].replace("\\|", "|")
        unlisted = [name for name in names if name not in section]
        assert not unlisted, f"not in docs/hardening.md: {unlisted}"

    all_listed(left)
    must_fail(lambda: all_listed([*left, "ProtectNothing"]), "a directive that the page does not name")
    control = must_fail(lambda: _tight("cron.service", FAIL2BAN_EXPOSURE), "a unit without a sandbox")
    return {
        "fail2ban": f"{fail2ban}, of Debian {before}",
        "left": ", ".join(f"{name} {exposure}" for name, exposure in left.items()),
        "gateway": gateway,
        "control": control,
    }


@drill.cell("scanned")
def scanned(stage: Stage) -> Figures:
    """nmap, from a second host, finds sshd's port alone, over IPv4 and IPv6; ssh-audit has one warning, the classic."""
    stage.converged()
    if not hosts.exists(OTHER):
        stage.bare(OTHER)
    _installed("nmap", OTHER)
    scans = {4: f"-p- {hosts.address(HOST)}", 6: f"-6 --top-ports 1000 {hosts.address(HOST, 6)}"}

    def scan(version: int, what: str) -> tuple[str, str]:
        line = f"nmap -Pn -n -T4 --max-retries 1 -oG - {what}"
        told = looks.answer(line, host=OTHER, user="root", timeout=500)
        found = re.search(r"Ports: (.*?)\s+Ignored State: (.*)", told)
        assert found, f"IPv{version}: {told}"
        assert found[1] == "22/open/tcp//ssh///", f"IPv{version}: {found[1]}"
        return "22 open", found[2]

    def only_sshd(version: int, what: str) -> str:
        opened, others = scan(version, what)
        assert others.startswith("filtered"), f"IPv{version}: {others}"
        return f"{opened}; {others}"

    seen = {version: only_sshd(version, what) for version, what in scans.items()}
    looks.answer("systemctl stop signalbox-firewall.service", user="root")
    bare = "; ".join(scan(4, f"-p- {hosts.address(HOST)}"))
    control = must_fail(lambda: only_sshd(4, f"-p 1-1000 {hosts.address(HOST)}"), "the firewall stopped")
    looks.answer("systemctl start signalbox-firewall.service", user="root")
    audit = _audited(HOST)
    assert audit.failures == [], audit.failures
    assert [algorithm for algorithm, _ in audit.warnings] == [CLASSIC], audit.warnings
    assert "mlkem768" in audit.first, audit.first
    stock = _audited(OTHER)
    assert (len(stock.failures), len(stock.warnings)) == STOCK, stock
    # sshd has punished the audit; who comes after this is not to be refused.
    assert wait_until(lambda: hosts.run(OTHER, "true", check=False).returncode == 0, 60), "the other host is shut"
    return {
        "IPv4, all ports": seen[4],
        "IPv6, 1000 ports": seen[6],
        "firewall stopped": bare,
        "ssh-audit": f"no failure; 1 warning: {': '.join(audit.warnings[0])}; {audit.first} first",
        "stock Debian": f"{STOCK[0]} failures, {STOCK[1]} warnings",
        "control": control,
    }


@dataclass(frozen=True)
class Audit:
    """What ssh-audit says of an sshd: (algorithm, note) each, and the key exchange that is offered first."""

    failures: list[tuple[str, str]]
    warnings: list[tuple[str, str]]
    first: str


def _audited(host: str) -> Audit:
    """Ask the ssh-audit that uv.lock pins."""
    program = Path(sys.executable).with_name("ssh-audit")
    line = [str(program), "--no-colors", "--json", "--skip-rate-test", hosts.address(host)]
    told = json.loads(subprocess.run(line, capture_output=True, text=True, check=False, timeout=120).stdout)
    offered = [each for kind in ("kex", "key", "enc", "mac") for each in told[kind]]

    def notes(level: str) -> list[tuple[str, str]]:
        return [(each["algorithm"], note) for each in offered for note in each.get("notes", {}).get(level, ())]

    return Audit(notes("fail"), notes("warn"), told["kex"][0]["algorithm"])


_ASSIGNED = re.compile(
    r"hardening points (?:for this item )?\((?:(\d+) of )?(\d+)\)\. Currently having (\d+) points \(out of (\d+)\)"
)


def _missing(log: str) -> Counter[str]:
    """Return the points that lynis did not give, by the test that it was in, as its log has them.

    Some lines are of a subshell, as in FIRE-4508: what they add is lost, so they are not among those that lead, each
    to the next one's sum, to the last.
    """
    lines, test = [], ""
    for line in log.splitlines():
        if found := re.search(r"Performing test ID (\S+)", line):
            test = found[1]
        elif found := _ASSIGNED.search(line):
            most, *sums = (int(each) for each in found.groups()[1:])
            lines.append((test, int(found[1] or most), most, sums))
    missing, wanted = Counter[str](), lines[-1][3]
    for test, given, most, sums in reversed(lines):
        if sums == wanted:
            missing[test] += most - given
            wanted = [sums[0] - given, sums[1] - most]
    return +missing


def _listed(page: str) -> dict[str, int]:
    """Return the points by tests ("MALW-3280, HRDN-7230") that the page lists, each with its reason."""
    return {row[2]: int(row[1]) for row in re.finditer(r"^\| (\d+) \| ([A-Z0-9, -]+): .+ \| .{9,} \|$", page, re.M)}


@drill.cell("lynis")
def lynis(stage: Stage) -> Figures:
    """lynis audit system: every point that it does not give is in docs/hardening.md, with its worth and the reason."""
    stage.converged()
    _installed("lynis", HOST)
    told = "sed -n 's/^hardening_index=//p' /var/log/lynis-report.dat"
    run = f"lynis audit system --quick --no-colors >/dev/null 2>&1; {told}"
    index = int(looks.answer(run, user="root", timeout=600))
    log = looks.answer("cat /var/log/lynis.log", user="root")
    looks.answer("apt-get -yq purge lynis >/dev/null && apt-get -yq autoremove >/dev/null", user="root", timeout=600)
    missing = _missing(log)
    points = re.findall(r"Currently having (\d+) points \(out of (\d+)\)", log)[-1]
    assert int(points[1]) - int(points[0]) == missing.total(), (points, missing)
    assert index >= LYNIS_INDEX, f"lynis' index is {index}, less than {LYNIS_INDEX}"

    def all_listed(page: str) -> None:
        listed = _listed(page)
        found = {tests: sum(missing[test] for test in tests.split(", ")) for tests in listed}
        wrong = {tests: found[tests] for tests, points in listed.items() if found[tests] != points}
        assert not wrong, f"not as listed: {wrong}"
        unlisted = set(missing) - set(", ".join(listed).split(", "))
        assert not unlisted, f"not listed: {unlisted}"

    page = (record.PROJECT / "docs" / "hardening.md").read_text()
    all_listed(page)
    control = must_fail(lambda: all_listed(page.replace("| 5 | FINT", "| 4 | FINT")), "a point less in the list")
    return {
        "index": index,
        "points": f"{points[0]} of {points[1]}",
        "not given": ", ".join(f"{count} {test}" for test, count in missing.most_common()),
        "control": control,
    }


@drill.cell("reboot-policy")
def reboot_policy(stage: Stage) -> Figures:
    """What an update needs happens at hardening.reboot_at, by unattended-upgrades itself; without it, nothing does."""
    site = stage.converged()
    need = "touch /run/reboot-required && timeout 200 unattended-upgrade; cat"
    try:
        left_alone = must_fail(lambda: looks.answer(f"{need} {SCHEDULED}", user="root"), "no time set")
        assert site.hosts
        stage.site(settings={"hardening": {"reboot_at": "04:30"}}).deploy().ok()
        effective = looks.answer("apt-config dump | grep -i Automatic-Reboot", user="root")
        told = looks.answer(f"{need} {SCHEDULED}", user="root")
        mode = re.search(r"MODE=(\S+)", told)
        when = looks.answer(f"date -d @$(sed -n 's/^USEC=\\(.*\\)......$/\\1/p' {SCHEDULED}) +%H:%M", user="root")
        assert mode, told
        assert (mode[1], when) == ("reboot", "04:30"), told
    finally:
        looks.answer("shutdown -c; rm -f /run/reboot-required", user="root")
    stage.site().deploy().ok()
    after = looks.answer("apt-config dump | grep -ci 'Automatic-Reboot ' || true", user="root")
    assert after == "0", after
    return {"apt": effective.replace("\n", " "), "scheduled": f"reboot at {when}", "without the setting": left_alone}


def _effective(host: str) -> dict[str, str]:
    """Return what is in effect of all that the hardening touches."""
    looks_at = {
        "sshd": "sshd -T",
        "rules": "nft -s list ruleset",
        "sysctl": f"sysctl -a 2>/dev/null | grep -E '{KERNEL}'",
        "limits": "ulimit -Hc; ulimit -Sc; cat /etc/security/limits.d/* 2>/dev/null",
        "apt": "apt-config dump | grep -E 'Unattended|Periodic' || true",
        "units": "systemctl list-unit-files --no-legend --state=enabled",
        "fail2ban": "command -v fail2ban-client; ls /etc/fail2ban /etc/nftables.conf 2>&1 || true",
        "modules": "cat /etc/modprobe.d/* 2>/dev/null; true",
        "banner": "cat /etc/issue /etc/issue.net",
    }
    return {name: looks.answer(command, host=host, user="root") for name, command in looks_at.items()}


@drill.cell("given-back")
def given_back(stage: Stage) -> Figures:
    """After remove.py and a boot, sshd, rules, kernel settings, apt, units and banners are in effect as before."""
    stage.bare(GONE)
    before = _effective(GONE)
    site = stage.site(GONE, settings=BASE_ALONE)
    site.deploy().ok()

    def as_before() -> None:
        now = _effective(GONE)
        differing = [name for name, value in before.items() if now[name] != value]
        assert not differing, {name: (before[name][-600:], now[name][-600:]) for name in differing}

    control = must_fail(as_before, "the hardening on it")
    site.remove().ok()
    hosts.reboot(GONE)
    as_before()
    stage.discard(GONE)
    return {"compared": ", ".join(before), "control": control}

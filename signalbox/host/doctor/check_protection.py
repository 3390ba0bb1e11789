"""Checks of what keeps others out: the firewall, sshd, fail2ban, the guard, updates, the kernel's settings."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from .check import Finding, check
from .check_host import changed, digest_of
from .host_context import AGENT, KEEPER, ROOT, Here, read, run

TABLE = ("table", "inet", "signalbox")
FIREWALL, EGRESS, FAIL2BAN = "signalbox-firewall.service", "signalbox-egress.timer", "fail2ban.service"
GUARD_UNIT = "signalbox-guard.service"
UPGRADE_TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer")
BANS = ("table", "inet", "f2b-table")  # fail2ban's own, made with the first ban
GUARD = Path("/var/lib/signalbox/guard/restored")
SPOKEN = {"prohibit-password": "without-password"}  # as `sshd -T` says it


@check(ROOT, needs=("packages:nftables",))
def firewall(here: Here) -> Iterator[Finding]:
    """The firewall's rules are loaded, and will be at the next boot"""
    rules = here.expected["protection"]["firewall"]
    if not rules or not os.path.exists(rules):  # that it is gone, another check tells
        return
    unit = FIREWALL
    # What was edited must be looked at by a person before it is loaded.
    about = {} if changed(rules) else {"unit": unit}
    status, loaded = run("nft", "-st", "list", *TABLE)
    if status:
        yield Finding("firewall-off", "the kernel has no table inet signalbox: everything is let in", data=about)
    elif about and loaded != _fresh(rules):
        yield Finding("firewall-off", f"the kernel holds other rules than {rules}", data=about)
    elif (state := _state(unit))["UnitFileState"] != "enabled":
        yield Finding("firewall-off", f"{unit} is {state['UnitFileState']}: no rules after a reboot", data=about)
    elif here.expected["protection"]["egress"] and _state(EGRESS)["ActiveState"] != "active":
        yield Finding("firewall-off", f"{EGRESS} does not run: names are not looked up", data={"unit": EGRESS})


def _fresh(rules: str) -> str:
    """Return what the kernel would list if these rules were loaded, by loading them where nothing is behind them."""
    return run("unshare", "--net", "sh", "-c", f"nft -f {rules} && nft -st list {' '.join(TABLE)}")[1]


@check(ROOT, needs=("packages:openssh-server",))
def sshd(here: Here) -> Iterator[Finding]:
    """sshd starts at boot, and what the settings say of it is in effect"""
    drop_in = here.expected["protection"]["sshd"]
    if not drop_in:
        return
    # Not `systemctl show`, which remembers what it once read.
    enabled = run("systemctl", "is-enabled", "ssh.service", "ssh.socket")[1].split()
    if "enabled" not in enabled:
        yield Finding("sshd-off", f"ssh.service is {enabled[0] if enabled else 'not there'}")
    elif run("systemctl", "is-active", "ssh.service", "ssh.socket")[0]:
        yield Finding("sshd-off", "sshd runs, and systemd does not know of it")
    # For a login that no Match block is about.
    status, told = run("/usr/sbin/sshd", "-T", "-C", "user=root,host=localhost,addr=127.0.0.1")
    if status:
        said = told.splitlines()[0] if told else f"sshd -T ended with {status}"
        yield Finding("sshd-broken", said[:200], drop_in if drop_in in told else "")
    elif not changed(drop_in):
        other = _overridden(read(Path(drop_in)) or "", told)
        if other:
            yield Finding("sshd-overridden", "; ".join(other))
        elif unread := _unread():
            yield Finding("sshd-stale", f"it was changed after sshd read it: {', '.join(unread)}")


def _overridden(drop_in: str, told: str) -> list[str]:
    """Return what sshd makes otherwise than the drop-in says: another file has a word there too."""
    effective: dict[str, str] = {}
    for line in told.splitlines():
        keyword, _, value = line.partition(" ")
        effective[keyword] = f"{effective[keyword]} {value}" if keyword in effective else value
    found = []
    for line in drop_in.splitlines():
        keyword, _, value = line.partition(" ")
        if keyword == "Match":
            break
        now = effective.get(keyword.lower())
        if value and now is not None and now.lower() != SPOKEN.get(value, value).lower():
            found.append(f"{keyword} is {now}, not {value}")
    return found


def _unread() -> list[str]:
    """Return the files that were changed after sshd read them; it writes its pid file whenever it does."""
    if not os.path.exists("/run/sshd.pid"):
        return []
    read_at = os.stat("/run/sshd.pid").st_ctime_ns
    files = [Path("/etc/ssh/sshd_config"), *sorted(Path("/etc/ssh/sshd_config.d").glob("*.conf"))]
    return [str(file) for file in files if file.exists() and file.stat().st_ctime_ns > read_at]


@check(ROOT, needs=("packages:fail2ban", "packages:python3-systemd", "packages:nftables"))
def fail2ban(here: Here) -> Iterator[Finding]:
    """fail2ban runs as the settings say, watches sshd, and its bans hold"""
    if not here.expected["protection"]["fail2ban"]:
        return
    unit = FAIL2BAN
    about = {"unit": unit}
    state = _state(unit)
    if state["ActiveState"] not in ("active", "reloading") or state["UnitFileState"] != "enabled":
        words = f"{unit} is {state['ActiveState']} and {state['UnitFileState']}"
        yield Finding("fail2ban-off", words, data=about)
        return
    status, told = run("fail2ban-client", "status", "sshd")
    if status:
        said = told.splitlines()[-1] if told else f"it ended with {status}"
        yield Finding("fail2ban-off", f"the jail sshd does not run: {said[:200]}", data=about)
        return
    banned = told.partition("Banned IP list:")[2].split()
    if banned:
        _, table = run("nft", "list", *BANS)
        loose = [address for address in banned if address not in table]
        if loose:
            yield Finding("fail2ban-off", f"{', '.join(loose[:3])} is banned, and the kernel lets it in", data=about)
            return
    for line in (read(Path("/run/signalbox", f"{unit}.inputs")) or "").splitlines():
        digest, _, path = line.partition("  ")
        if not changed(path) and digest_of(path) != digest:
            yield Finding("fail2ban-off", f"it runs with another {path}", data=about)
            return


@check(ROOT)
def guard(here: Here) -> Iterator[Finding]:
    """The way back from a change that locks out is there, and none was taken back"""
    if not here.expected["protection"]["guard"]:
        return
    unit = GUARD_UNIT
    state = _state(unit)["UnitFileState"]
    if state != "enabled":
        yield Finding("guard-off", f"{unit} is {state}", data={"unit": unit})
    if said := (read(GUARD) or "").strip():
        yield Finding("guard-restored", said.splitlines()[-1][:200])


@check(ROOT, needs=("packages:unattended-upgrades",))
def upgrades(here: Here) -> Iterator[Finding]:
    """Security updates are installed unattended"""
    if not here.expected["protection"]["upgrades"]:
        return
    for unit in UPGRADE_TIMERS:
        state = _state(unit)
        if state["ActiveState"] != "active" or state["UnitFileState"] != "enabled":
            words = f"{unit} is {state['ActiveState']} and {state['UnitFileState']}"
            yield Finding("upgrades-off", words, data={"unit": unit}, subjects=(unit,))
            return
    # What a Debian host goes by that has not been told otherwise: origin and label of the archive itself.
    status, told = run("apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(CODENAME)", "Created-By: Packages")
    if not status and not re.search(r"^Debian Debian-Security trixie(-security)?$", told, re.M):
        yield Finding("upgrades-no-source", "apt has read no index of Debian's security updates", subjects=("apt",))
        return
    _, told = run("apt-config", "shell", "on", "APT::Periodic::Unattended-Upgrade")
    value = told.partition("=")[2].strip("'")
    if value in ("", "0"):
        yield Finding("upgrades-off", f"APT::Periodic::Unattended-Upgrade is {value or 'not set'}")


@check(ROOT)
def kernel(here: Here) -> Iterator[Finding]:
    """The kernel's settings are in effect, as far as it has them"""
    for key, value in here.expected["protection"]["sysctl"].items():
        path = Path("/proc/sys", *key.split("."))
        now = read(path)
        # In a container most are there and cannot be set.
        if now is not None and os.access(path, os.W_OK) and now.strip() != str(value):
            yield Finding("kernel-setting", f"{key} is {now.strip()}, not {value}", subjects=(key,))


@check(ROOT, needs=("users",))
def sudo(here: Here) -> Iterator[Finding]:
    """The service user may become root only where the settings say so"""
    if here.expected["protection"]["sudo"] != "none":
        return
    user = here.expected["user"]
    status, told = run("sudo", "-n", "-l", "-U", user)
    if status == 0 and "not allowed to run sudo" not in told:
        yield Finding("sudo-given", f"{user} may run: {told.splitlines()[-1].strip()[:200]}")


@check(AGENT, KEEPER, needs=("users",))
def home(here: Here) -> Iterator[Finding]:
    """Nobody else looks into the user's home"""
    if str(here.home) in here.expected["protection"]["homes"]:
        mode = stat.S_IMODE(here.home.stat().st_mode)
        if mode & 0o077:
            yield Finding("home-open", f"{here.home} has the mode {mode:o}", str(here.home), {"mode": mode & 0o700})


@check(AGENT, needs=("users",))
def logins(here: Here) -> Iterator[Finding]:
    """The service user's authorized keys are those that the settings name"""
    file = here.home / ".ssh/authorized_keys"
    present = {" ".join(line.split()[:2]) for line in (read(file) or "").splitlines()}
    missing = [key for key in here.expected["protection"]["logins"] if key not in present]
    if missing:
        yield Finding("login-key-missing", f"{file} lacks {len(missing)} of the settings' keys", str(file))


def _state(unit: str) -> dict[str, str]:
    _, told = run("systemctl", "show", unit, "--property=ActiveState,UnitFileState", timeout=5)
    found = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    return {
        "ActiveState": found.get("ActiveState", "unknown"),
        "UnitFileState": found.get("UnitFileState") or "not there",
    }

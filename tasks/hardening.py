"""Hardening: what is left when the doors are shut: the kernel's settings, core dumps, homes, updates' reboots."""

from __future__ import annotations

from signalbox.desired.render import render
from signalbox.engine.deploy import deploy
from signalbox.facts.in_effect import SysctlAtBoot
from signalbox.operations import absent, directories, file, in_effect, kernel_settings, packages, private_home
from signalbox.operations.guarded import Proof
from signalbox.settings import Account
from signalbox.settings.sections.hardening import Hardening

SYSCTL = "/etc/sysctl.d/60-signalbox.conf"
MODULES = "/etc/modprobe.d/signalbox-blocked.conf"
REBOOT = "/etc/apt/apt.conf.d/61signalbox-reboot"
CORE_DUMPS = {
    "logins": ("/etc/security/limits.d/50-signalbox.conf", "* soft core 0\n* hard core 0\nroot hard core 0\n"),
    "services": ("/etc/systemd/coredump.conf.d/50-signalbox.conf", "[Coredump]\nStorage=none\nProcessSizeMax=0\n"),
    "shells": ("/etc/profile.d/signalbox-core.sh", "ulimit -c 0 2>/dev/null || true\n"),
}
DEBSUMS = "/etc/default/debsums"


@deploy("Hardening")
def hardening(settings: Hardening, accounts: tuple[Account, ...], proof: Proof) -> None:
    """Harden the system itself, and the homes of `accounts`.

    proof: whose fresh logins keep a change of the network's settings.
    """
    if not settings.enabled:
        return
    kernel_settings(
        name="the kernel's settings are in effect, as far as it has them, and for every boot",
        path=SYSCTL,
        content=render("hardening/60-signalbox.conf", sysctl=settings.sysctl),
        values=settings.sysctl,
        proof=proof,
    )
    in_effect(
        name="no later file has another word on the kernel's settings at boot",
        what="the kernel's settings at boot",
        ours=SYSCTL,
        wanted={key: str(value) for key, value in settings.sysctl.items()},
        fact=SysctlAtBoot,
    )
    file(
        name="the file that blocks kernel modules is in place",
        path=MODULES,
        content=render("hardening/signalbox-modules.conf", modules=settings.blocked_modules),
    )
    directories(name="systemd-coredump has a directory for drop-ins", paths=["/etc/systemd/coredump.conf.d"])
    for what, (path, content) in CORE_DUMPS.items():
        file(
            name=f"the file that switches core dumps of {what} off is in place",
            path=path,
            content=f"# Placed by Signalbox.\n{content}",
        )
    for path in ("/etc/issue", "/etc/issue.net") if settings.banner else ():
        file(name=f"{path} has the banner", path=path, content=f"{settings.banner}\n")
    for account in accounts:
        private_home(name=f"the home of {account.name} is private", account=account.name, home=account.home)
    if settings.reboot_at:
        file(
            name=f"updates that need a reboot have it at {settings.reboot_at}",
            path=REBOOT,
            content=render("hardening/61signalbox-reboot", at=settings.reboot_at),
        )
    else:
        absent(name="updates have no reboot of Signalbox's", path=REBOOT)
    # Last: needrestart looks at every transaction after it.
    packages(name="packages that harden are installed", wanted=settings.packages)
    if "debsums" in settings.packages:
        file(
            name="installed files are compared with their packages weekly",
            path=DEBSUMS,
            content="# Placed by Signalbox.\nCRON_CHECK=weekly\n",
        )

"""Rules of the sections that keep others out: what would lock the owner out is refused where that is known."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

import paramiko

from signalbox.fields.messages import show
from signalbox.settings.problems import Problem
from signalbox.settings.rules.rule import Raw, Rule
from signalbox.settings.sections import Sections


def guard(settings: Sections, _: Raw) -> Iterator[Problem]:
    """What can lock the owner out has its way back, and time to prove that nobody is."""
    for name, enabled in (("firewall", settings.firewall.enabled), ("ssh", settings.ssh.enabled)):
        if enabled and not settings.guard.enabled:
            yield Problem(("guard", "enabled"), f"{name} needs its way back; write True, or {name}.enabled = False")
    least = 4 * settings.guard.login_seconds + 4
    if settings.guard.enabled and settings.guard.armed_seconds < least:
        yield Problem(
            ("guard", "armed_seconds"),
            f"{settings.guard.armed_seconds} is too short for four logins of guard.login_seconds = "
            f"{settings.guard.login_seconds}; write at least {least}",
        )


def ssh(settings: Sections, raw: Raw) -> Iterator[Problem]:
    """The deploy itself, and the service user, may log in."""
    if not settings.ssh.enabled:
        return
    user = str(raw.get("ssh_user") or "root")
    if settings.ssh.root_login == "no" and user == "root":
        yield Problem(("ssh", "root_login"), 'the deploy logs in as root; write "key", or deploy as another ssh_user')
    allowed = [each.split("@")[0] for each in settings.ssh.allow_users]
    for needed in dict.fromkeys((user, settings.service_user.name)):
        if allowed and not any(fnmatchcase(needed, pattern) for pattern in allowed):
            yield Problem(
                ("ssh", "allow_users"), f"{show(needed)} would be locked out; add it, or write [] for everyone"
            )
    # What the library has decides, so that a newer one needs no change here.
    offered: tuple[str, ...] = getattr(paramiko.Transport, "_preferred_kex", ())
    has_post_quantum = any("mlkem" in each or "sntrup" in each for each in offered)
    if not settings.ssh.classic_kex and not has_post_quantum and not settings.host.startswith("@local"):
        yield Problem(
            ("ssh", "classic_kex"),
            f"pyinfra's SSH library (paramiko {paramiko.__version__}) knows no post-quantum key exchange, so the "
            "deploy would lock itself out; write True",
        )


def hardening(settings: Sections, _: Raw) -> Iterator[Problem]:
    """Only unattended upgrades reboot by themselves, and what rootless Docker lives on stays on."""
    if not settings.hardening.enabled:
        return
    upgraded = settings.base.enabled and settings.base.unattended_upgrades
    if settings.hardening.reboot_at and not upgraded:
        switch = "base.unattended_upgrades" if settings.base.enabled else "base.enabled"
        yield Problem(("hardening", "reboot_at"), f"nothing is upgraded unattended; write {switch} = True, or None")
    for key, least in _DOCKER_NEEDS.items():
        value = settings.hardening.sysctl.get(key, least)
        if settings.rootless_docker.enabled and value < least:
            yield Problem(
                ("hardening", "sysctl", key), f"{value} ends rootless Docker; write {least} or more, or take it out"
            )
    needed = {
        "rootless Docker": _DOCKER_LOADS if settings.rootless_docker.enabled else (),
        "the firewall": _NFTABLES_LOADS if settings.firewall.enabled else (),
    }
    for index, module in enumerate(settings.hardening.blocked_modules):
        for what, modules in needed.items():
            if module.replace("-", "_") in modules:
                yield Problem(("hardening", "blocked_modules", index), f"{show(module)} ends {what}; take it out")


# https://docs.docker.com/engine/security/rootless/ (troubleshooting), user_namespaces(7)
_DOCKER_LOADS = ("overlay", "fuse", "tun", "veth", "bridge", "br_netfilter", "nf_tables", "nf_nat", "nf_conntrack")
_NFTABLES_LOADS = ("nf_tables", "nf_conntrack", "nft_ct", "nft_limit", "nft_reject", "nft_reject_inet")
_DOCKER_NEEDS = {"kernel.unprivileged_userns_clone": 1, "user.max_user_namespaces": 1024}


RULES: list[Rule] = [guard, ssh, hardening]

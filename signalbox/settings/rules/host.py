"""Rules of the host, of what is installed there and of how it is reached."""

from __future__ import annotations

from collections.abc import Iterator

from signalbox.fields.messages import show
from signalbox.settings.layers import Path, defaults
from signalbox.settings.problems import Problem
from signalbox.settings.rules.rule import Raw, Rule
from signalbox.settings.sections import Sections
from signalbox.settings.sections.pins import ARCHITECTURES


def connection(settings: Sections, raw: Raw) -> Iterator[Problem]:
    """Root at the other end, and nobody in between."""
    user, sudo = raw.get("ssh_user"), settings.connection.sudo
    if user not in (None, "root") and not sudo:
        yield Problem(("connection", "sudo"), f"ssh_user {show(user)} is not root; write True")
    if settings.connection.sudo_password and not sudo:
        yield Problem(
            ("connection", "sudo_password"), "is not used while connection.sudo is False; write True there or None here"
        )
    checking = raw.get("ssh_strict_host_key_checking")
    if checking in ("no", "off", False):
        yield Problem(
            ("ssh_strict_host_key_checking",),
            f'{show(checking)} lets any machine pose as this host; write "yes" and the key in connection.host_key',
        )


def doctor(settings: Sections, _: Raw) -> Iterator[Problem]:
    """Mail needs a server."""
    if settings.doctor.mail_to and not settings.doctor.mail_server:
        yield Problem(("doctor", "mail_server"), 'mail_to needs one; write its host, such as "mail.example.org"')


def service_user(settings: Sections, _: Raw) -> Iterator[Problem]:
    """sudo with a password needs one."""
    user = settings.service_user
    if user.enabled and user.sudo == "password" and user.password is None:
        yield Problem(
            ("service_user", "password"),
            'sudo = "password" needs one; write the name of the secret that holds it, such as CLAUDE_PASSWORD',
        )


def pins(settings: Sections, _: Raw) -> Iterator[Problem]:
    """What is installed is pinned, for at least one architecture."""
    pins, run = settings.pins, "run `signalbox pin`"
    if settings.toolchain.enabled:
        for name, pin in (("mise", pins.mise), ("node", pins.node)):
            if not any(getattr(pin.sha256, each) for each in ARCHITECTURES):
                yield Problem(("pins", name, "sha256"), f"no checksum of {name} {pin.version} is known; {run}")
        known = pins.claude_code.integrity
        if not known.package or not any(getattr(known, each) for each in ARCHITECTURES):
            version = pins.claude_code.version
            yield Problem(("pins", "claude_code", "integrity"), f"no checksum of Claude Code {version} is known; {run}")
    if settings.gateway.enabled and pins.litellm.digest is None:
        version = pins.litellm.version
        yield Problem(("pins", "litellm", "digest"), f"the digest of LiteLLM {version} is not known; {run}")


def mirrors(settings: Sections, _: Raw) -> Iterator[Problem]:
    """Security updates come from somewhere, as far as they are wanted."""
    mirrors, base = settings.mirrors, settings.base
    at: Path = ("mirrors", "debian_security")
    if not mirrors.debian and mirrors.debian_security not in (None, defaults()["mirrors"]["debian_security"]):
        yield Problem(at, "is not used while mirrors.debian is None, which keeps the host's own sources; name both")
    if base.enabled and base.unattended_upgrades and mirrors.debian and not mirrors.debian_security:
        yield Problem(
            at,
            "None leaves unattended upgrades without security updates; name a mirror of Debian's security archive, "
            "or write base.unattended_upgrades = False",
        )


RULES: list[Rule] = [connection, doctor, service_user, pins, mirrors]

"""Base: packages, CA certificates, time and unattended upgrades."""

from __future__ import annotations

import hashlib

from pyinfra import host

from signalbox.desired import symptoms
from signalbox.desired.packages import NEEDED
from signalbox.desired.render import render
from signalbox.engine.changes import want
from signalbox.engine.deploy import deploy
from signalbox.engine.outcome import warn
from signalbox.facts import Packages, SecurityUpdates
from signalbox.facts.in_effect import Upgrades
from signalbox.operations import (
    absent,
    debian_sources,
    directories,
    file,
    in_effect,
    link,
    packages,
    trusted_certificates,
)
from signalbox.settings.sections.base import Base
from signalbox.settings.sections.mirrors import Mirrors

# One of them keeps the clock right; Debian has but one at a time. The first is installed where there is none.
CLOCKS = ["systemd-timesyncd", "chrony", "ntpsec", "openntpd"]
CA_DIRECTORY = "/usr/local/share/ca-certificates"


def clocks(settings: Base) -> list[str]:
    """Return the package that keeps the host's clock right: the one that is there, if it can."""
    status = host.get_fact(Packages) if settings.enabled else {}
    there = [each for each in CLOCKS[1:] if status.get(each) == "installed"]
    return (there or CLOCKS)[:1] if settings.enabled else []


@deploy("Base")
def base(settings: Base, ca_certificates: tuple[str, ...], mirrors: Mirrors) -> None:
    """Bring the system to what every other task stands on. `ca_certificates` are PEM texts."""
    if not settings.enabled:
        for package in (*NEEDED, CLOCKS[0]):  # other tasks still stand on those that an earlier deploy installed
            want("package", package)
        return
    # Before packages: a corporate mirror may be signed by the corporate CA.
    certificates = {f"signalbox-{hashlib.sha256(pem.encode()).hexdigest()[:12]}.crt": pem for pem in ca_certificates}
    if certificates:
        directories(name=f"{CA_DIRECTORY} exists", paths=[CA_DIRECTORY])
    for certificate, pem in certificates.items():
        file(name=f"CA certificate {certificate} is in place", path=f"{CA_DIRECTORY}/{certificate}", content=pem)
    if mirrors.debian:
        debian_sources(
            name=f"apt uses {mirrors.debian}",
            content=render("base/debian.sources", mirror=mirrors.debian, security=mirrors.debian_security),
        )
    elif settings.unattended_upgrades and not host.get_fact(SecurityUpdates):
        warn(symptoms.words("upgrades-no-source", "apt has no source of Debian's security updates (trixie-security)"))
    wanted = [
        *NEEDED,
        *clocks(settings),
        *settings.packages,
        *(["unattended-upgrades"] if settings.unattended_upgrades else []),
    ]
    packages(name="base packages are installed", wanted=list(dict.fromkeys(wanted)))
    trusted_certificates(name="the system trusts extra_ca_certificates", names=sorted(certificates))
    if settings.timezone:
        link(
            name=f"the time zone is {settings.timezone}",
            path="/etc/localtime",
            target=f"/usr/share/zoneinfo/{settings.timezone}",
        )
    upgrades = "/etc/apt/apt.conf.d/60signalbox-upgrades"
    if settings.unattended_upgrades:
        file(
            name="security updates are installed unattended",
            path=upgrades,
            content=render("base/60signalbox-upgrades"),
        )
        # A later file's word, or the timers': whoever switched them off is not overruled.
        in_effect(
            name="security updates have nothing in their way",
            what="unattended upgrades",
            ours=upgrades,
            wanted={
                "Update-Package-Lists": "1",
                "Unattended-Upgrade": "1",
                "Enable": "1",
                "apt-daily.timer": "enabled",
                "apt-daily-upgrade.timer": "enabled",
            },
            fact=Upgrades,
        )
    else:
        absent(name="unattended upgrades are not set up by Signalbox", path=upgrades)

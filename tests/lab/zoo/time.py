"""What keeps the clock right."""

from __future__ import annotations

from tests.lab.zoo.state import UNREPORTED, State


def _install(package: str) -> str:
    return f"apt-get -q update && apt-get -yq install {package}"


STATES = (
    State(
        "chrony",
        "chrony keeps the clock right",
        "https://github.com/VeeamHub/veeam-hardened-repository/issues/6",
        _install("chrony"),
        proves="systemctl is-active chrony && ! dpkg -s systemd-timesyncd",
    ),
    State(
        "ntpsec",
        "ntpsec keeps the clock right",
        "https://github.com/geerlingguy/ansible-role-ntp/issues/135",
        _install("ntpsec"),
        proves="dpkg -s ntpsec && ! dpkg -s systemd-timesyncd",
    ),
    State(
        "own-time-daemon",
        "a package of the person's own provides time-daemon",
        UNREPORTED,
        "mkdir -p /tmp/p/DEBIAN && printf '%s\\n' 'Package: firm-clock' 'Version: 1' 'Architecture: all'"
        " 'Maintainer: x <x@example.org>' 'Provides: time-daemon' 'Conflicts: time-daemon' 'Description: ours'"
        " > /tmp/p/DEBIAN/control && dpkg-deb -b /tmp/p /tmp/firm-clock.deb && dpkg -i /tmp/firm-clock.deb"
        " && rm -r /tmp/p /tmp/firm-clock.deb",
        proves="dpkg -s firm-clock && ! dpkg -s systemd-timesyncd",
    ),
)

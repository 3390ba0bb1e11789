"""Which of Debian's packages the settings ask for."""

from __future__ import annotations

from signalbox.desired.model_server import PACKAGES, VULKAN
from signalbox.settings import Settings

# What tasks need: curl and its CAs to download, a bus for user managers, python3 for the launchers.
NEEDED = ["ca-certificates", "curl", "dbus-user-session", "python3", "tzdata"]
DOCKER = {
    "debian": ["docker.io", "docker-cli", "rootlesskit"],
    "docker": ["docker-ce", "docker-ce-cli", "containerd.io", "docker-ce-rootless-extras", "docker-buildx-plugin"],
}
BESIDE_DOCKER = ["uidmap", "slirp4netns", "fuse-overlayfs", "iptables"]
ROOT_DOCKER = ("docker.service", "docker.socket", "containerd.service")  # root's units, which nothing here uses
FAIL2BAN = ["fail2ban", "python3-systemd", "nftables"]  # it reads the journal by the second, which it only suggests

LAUNCHERS = ["tmux", "man-db"]  # for lasting sessions, and to show manual pages


def packages(settings: Settings) -> list[str]:
    """Return the Debian packages that the enabled tasks install."""
    wanted = []
    if settings.base.enabled:
        wanted += [*NEEDED, *settings.base.packages]
        wanted += ["unattended-upgrades"] if settings.base.unattended_upgrades else []
    if settings.rootless_docker.enabled:
        wanted += [*DOCKER[settings.rootless_docker.source], *BESIDE_DOCKER]
    if settings.service_user.enabled and settings.service_user.sudo != "none":
        wanted += ["sudo"]
    wanted += ["nftables"] if settings.firewall.enabled else []
    wanted += ["openssh-server"] if settings.ssh.enabled else []
    wanted += FAIL2BAN if settings.fail2ban.enabled else []
    wanted += settings.hardening.packages if settings.hardening.enabled else []
    if settings.model_server.enabled:
        wanted += [*PACKAGES, *(VULKAN if settings.model_server.variant == "vulkan" else ())]
    wanted += LAUNCHERS if settings.launchers.enabled else []
    return list(dict.fromkeys(wanted))


def packages_added(settings: Settings) -> tuple[str, ...]:
    """Return those of them that come from a source which a task adds: apt knows none of them before."""
    docker = settings.rootless_docker
    return tuple(DOCKER["docker"]) if docker.enabled and docker.source == "docker" else ()

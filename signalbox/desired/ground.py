"""Pure: what stands in a machine's way before anything of ours is there, and what its owner does about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

SUBIDS = 65536  # what rootless containers need: https://docs.docker.com/engine/security/rootless/
FIRST_SUBID = 100000  # SUB_UID_MIN of Debian's login.defs
ALL_IDS = 1 << 32  # as /proc/self/uid_map has it on a machine of its own
_PAGE = 4096
# What Claude Code's program is built for: x86-64-v2, as far as it uses it.
_CPU = ("ssse3", "sse4_2", "popcnt")


@dataclass(frozen=True)
class Mount:
    """A file system: where it is mounted, with which options, and what is free there (MiB)."""

    at: str
    options: frozenset[str]
    free_mib: int


@dataclass(frozen=True)
class Login:
    """A user that is there. listed: in /etc/passwd itself, and not in a directory of users elsewhere."""

    home: str
    listed: bool


@dataclass(frozen=True)
class GroundState:
    """cpu: flags of the first processor. page: bytes. ids: how many user and group ids the machine has of its own.

    userns: how many user namespaces it may make, by the name of what limits it. tun, keyctl: whether they can be used.
    container: systemd-detect-virt's word for what it is in, "none". mounts: where files of ours come to lie.
    users: those of the settings' names that are there. groups: the same of groups.
    """

    cpu: frozenset[str] = frozenset()
    page: int = _PAGE
    ids: int = ALL_IDS
    userns: Mapping[str, int] = field(default_factory=dict)
    tun: bool = True
    keyctl: bool = True
    container: str = "none"
    proc: frozenset[str] = frozenset()
    mounts: tuple[Mount, ...] = ()
    users: Mapping[str, Login] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    subids_end: int = 0


@dataclass(frozen=True)
class Needs:
    """What settings ask of a machine. users: whose homes and services there shall be.

    claude: Claude Code's program. containers: rootless Docker for `engines` users. disk_mib: for the first deploy.
    """

    users: Sequence[str]
    claude: bool
    engines: int
    disk_mib: int


def problems(ground: GroundState, needs: Needs, architecture: str, deployed: bool) -> list[str]:
    """Return why nothing will work there, each with the next step."""
    found = [*_processor(ground, needs, architecture), *_users(ground, needs)]
    if needs.engines:
        found += _containers(ground, needs)
    found += _files(ground, needs, deployed)
    return found


def warnings(ground: GroundState, needs: Needs) -> list[str]:
    """Return what may not work there."""
    if needs.claude and ground.page != _PAGE:
        return [
            f"memory pages are {ground.page} bytes here, and programs that are built for {_PAGE} may not start; on a"
            " Raspberry Pi 5 write kernel=kernel8.img into /boot/firmware/config.txt, and reboot"
        ]
    return []


def _processor(ground: GroundState, needs: Needs, architecture: str) -> Iterator[str]:
    missing = [flag for flag in _CPU if flag not in ground.cpu]
    if needs.claude and architecture == "amd64" and ground.cpu and missing:
        yield (
            f'the processor has no {", ".join(missing)}, without which Claude Code ends with "Illegal instruction";'
            " of a virtual machine, give it the host's processor or x86-64-v2 (Proxmox: qm set ID --cpu host), and"
            " start it anew"
        )


def _users(ground: GroundState, needs: Needs) -> Iterator[str]:
    for name in needs.users:
        login = ground.users.get(name)
        if login is None:
            continue
        if not login.listed:
            yield (
                f"the user {name} comes from a directory of users (LDAP, sssd), and Signalbox needs one of the host's"
                " own, with subordinate ids; write another name into service_user.name or gateway.user"
            )
        elif login.home != f"/home/{name}":
            yield (
                f"the home of {name} is {login.home}, and Signalbox keeps what is {name}'s in /home/{name}; move it"
                f" (usermod -m -d /home/{name} {name}, with nothing of {name}'s running), or write another name into"
                " service_user.name or gateway.user"
            )


def _containers(ground: GroundState, needs: Needs) -> Iterator[str]:
    wanted = max(FIRST_SUBID + SUBIDS * needs.engines, ground.subids_end)
    inside = ground.container != "none"
    if ground.ids < wanted:
        yield (
            f"this container has {ground.ids} user ids, and rootless Docker needs them up to {wanted}; give it 262144:"
            " in Proxmox, root:100000:262144 in the node's /etc/subuid and /etc/subgid, and in /etc/pve/lxc/ID.conf"
            " the lines lxc.idmap: u 0 100000 262144 and lxc.idmap: g 0 100000 262144, before the container is made"
        )
    for name, most in ground.userns.items():
        if most == 0:
            yield (
                f"user namespaces are off ({name} = 0), and rootless Docker is made of them; find who sets it"
                f" (grep -r {name} /etc/sysctl.conf /etc/sysctl.d), take it out, and sysctl -w {name}="
                f"{1 if name.endswith('clone') else 28633}"
            )
    if not ground.tun:
        yield (
            "/dev/net/tun cannot be opened, and containers have no network without it; in Proxmox, write"
            " lxc.cgroup2.devices.allow: c 10:200 rwm and lxc.mount.entry: /dev/net/tun dev/net/tun none"
            " bind,create=file into /etc/pve/lxc/ID.conf"
            if inside
            else "/dev/net/tun cannot be opened, and containers have no network without it; modprobe tun"
        )
    if not ground.keyctl:
        yield (
            "keyctl is refused here, and no container starts without it; in Proxmox, pct set ID --features"
            " keyctl=1,nesting=1, and start it anew"
        )
    hidden = sorted(each for each in ground.proc if each.startswith("hidepid=") and each not in _SEEN)
    if hidden and not any(each.startswith("gid=") for each in ground.proc):
        yield (
            f"/proc is mounted with {hidden[0]}, so that services of users do not see systemd; take it out of"
            " /etc/fstab, and mount -o remount,hidepid=0 /proc"
        )


_SEEN = ("hidepid=0", "hidepid=off")


def _files(ground: GroundState, needs: Needs, deployed: bool) -> Iterator[str]:
    for mount in ground.mounts:
        if "ro" in mount.options:
            yield f"{mount.at} is mounted read-only; mount -o remount,rw {mount.at}, and see /etc/fstab"
        if "noexec" in mount.options and mount.at != "/var" and (needs.claude or needs.engines):
            yield (
                f"{mount.at} is mounted with noexec, and programs of ours run from there; take it out of /etc/fstab,"
                f" and mount -o remount,exec {mount.at}"
            )
        least = needs.disk_mib if mount.at == "/home" and needs.engines else _LEAST.get(mount.at, 0)
        if not deployed and mount.free_mib < min(least, needs.disk_mib):
            yield (
                f"{mount.free_mib} MiB are free under {mount.at}, a file system of its own, which needs"
                f" {min(least, needs.disk_mib)}; make room there, or lower preflight.min_disk_mib"
            )


# Of file systems beside the root's, MiB: packages with their archives; programs of ours and Debian's; settings.
_LEAST = {"/var": 1536, "/usr": 1536, "/usr/local": 512, "/etc": 16, "/home": 64}

"""Processors, kernels, and containers as hosts."""

from __future__ import annotations

from tests.lab.zoo.state import State

_ALL = ("rootless_docker", "gateway", "toolchain", "launchers", "secrets", "doctor", "by_hand", "hardening")
IDS = (
    "this container has 65536 user ids, and rootless Docker needs them up to 231072; give it 262144: in Proxmox,"
    " root:100000:262144 in the node's /etc/subuid and /etc/subgid, and in /etc/pve/lxc/ID.conf the lines lxc.idmap: u"
    " 0 100000 262144 and lxc.idmap: g 0 100000 262144, before the container is made"
)

STATES = (
    State(
        "cpu-kvm64",
        "a virtual machine has the processor kvm64, below x86-64-v2",
        "https://github.com/roshie548/proxmux/issues/1",
        "sed 's/ \\(ssse3\\|sse4_1\\|sse4_2\\|popcnt\\|avx[0-9a-z_]*\\)//g; s/^model name.*/model name\\t: Common KVM"
        " processor/' /proc/cpuinfo > /run/cpuinfo && mount --bind /run/cpuinfo /proc/cpuinfo",
        "refused",
        (
            'the processor has no ssse3, sse4_2, popcnt, without which Claude Code ends with "Illegal instruction"; of'
            " a virtual machine, give it the host's processor or x86-64-v2 (Proxmox: qm set ID --cpu host), and start"
            " it anew",
        ),
        "umount /proc/cpuinfo",
        sections=("toolchain", "launchers"),
    ),
    State(
        "container-65536",
        "an unprivileged container, with 65536 ids of its own (Proxmox's default)",
        "https://github.com/docker/for-linux/issues/1352",
        outcome="refused",
        words=(IDS,),
        sections=("rootless_docker",),
        private=65536,
    ),
    State(
        "container-262144",
        "an unprivileged container with 262144 ids, keyctl and /dev/net/tun",
        "https://github.com/docker/for-linux/issues/1352",
        sections=_ALL,
        private=262144,
    ),
    State(
        "no-tun",
        "a container without /dev/net/tun",
        "https://github.com/podman-container-tools/podman/issues/10001",
        "umount /dev/net/tun 2>/dev/null; rm -f /dev/net/tun",
        "refused",
        (
            "/dev/net/tun cannot be opened, and containers have no network without it; in Proxmox, write"
            " lxc.cgroup2.devices.allow: c 10:200 rwm and lxc.mount.entry: /dev/net/tun dev/net/tun none"
            " bind,create=file into /etc/pve/lxc/ID.conf",
        ),
        "mkdir -p /dev/net && mknod /dev/net/tun c 10 200 && chmod 666 /dev/net/tun",
        sections=("rootless_docker",),
    ),
    State(
        "no-user-namespaces",
        "user namespaces are off, as hardening guides have it",
        "https://github.com/podman-container-tools/podman/issues/7704",
        "echo user.max_user_namespaces=0 > /etc/sysctl.d/99-hardening.conf && mount -o remount,bind,rw /proc/sys"
        " && sysctl -qw user.max_user_namespaces=0",
        "refused",
        (
            "user namespaces are off (user.max_user_namespaces = 0), and rootless Docker is made of them; find who sets"
            " it (grep -r user.max_user_namespaces /etc/sysctl.conf /etc/sysctl.d), take it out, and sysctl -w"
            " user.max_user_namespaces=28633",
        ),
        "rm /etc/sysctl.d/99-hardening.conf && sysctl -qw user.max_user_namespaces=28633",
        sections=("rootless_docker",),
        private=262144,
    ),
    State(
        "hidepid",
        "/proc is mounted with hidepid=2, as hardening guides have it",
        "https://github.com/containers/crun/issues/250",
        "mount -o remount,hidepid=2 /proc",
        "refused",
        (
            "/proc is mounted with hidepid=invisible, so that services of users do not see systemd; take it out of"
            " /etc/fstab, and mount -o remount,hidepid=0 /proc",
        ),
        "mount -o remount,hidepid=0 /proc",
        sections=("rootless_docker",),
    ),
)

"""apt, its sources, and what dpkg was left in."""

from __future__ import annotations

from tests.lab.zoo.state import UNREPORTED, State

_LIST = "/etc/apt/sources.list.d"
_HERE = "http://127.0.0.1:8099"  # nobody answers there
# A repository on the host itself: as `file:` it needs no server.
_BELOW = "/srv/repo/dists/stable/main/binary-amd64"
_REPOSITORY = f"mkdir -p {_BELOW} && : > {_BELOW}/Packages"

STATES = (
    State(
        "apt-cdrom",
        "/etc/apt/sources.list has the line of the installer's CD",
        "https://github.com/pop-os/iso/issues/206",
        "echo 'deb cdrom:[Debian GNU/Linux 13.1.0 _Trixie_ - Official amd64 NETINST]/ trixie main'"
        " > /etc/apt/sources.list",
        "warned",
        (
            "apt cannot use a source of /etc/apt/sources.list: ",
            "; what is wanted comes from others; take that one out, or mend it",
        ),
    ),
    State(
        "apt-signed-by",
        "two lines of one repository name different keys (Signed-By)",
        "https://github.com/docker/for-linux/issues/1349",
        f"echo 'deb [signed-by=/usr/share/keyrings/a.gpg] {_HERE}/debian trixie stable' > {_LIST}/docker.list;"
        f" echo 'deb [signed-by=/etc/apt/keyrings/b.asc] {_HERE}/debian trixie stable' > {_LIST}/docker-old.list",
        "refused",
        (
            "apt reads none of its sources: Conflicting values set for option Signed-By regarding source"
            f" {_HERE}/debian/ trixie: ",
            "; take the one that is wrong out of /etc/apt/sources.list or /etc/apt/sources.list.d, until apt-get update"
            " ends without an error",
        ),
        f"rm {_LIST}/docker-old.list",
    ),
    State(
        "apt-malformed",
        "a line of a source lacks its suite",
        UNREPORTED,
        f"echo 'deb {_HERE}/debian' > {_LIST}/mine.list",
        "refused",
        (
            f"apt reads none of its sources: Malformed entry 1 in list file {_LIST}/mine.list (Suite); take the one"
            " that is wrong out of /etc/apt/sources.list or /etc/apt/sources.list.d, until apt-get update ends without"
            " an error",
        ),
        f"rm {_LIST}/mine.list",
    ),
    State(
        "apt-no-release",
        "a repository has nothing for Debian 13 (no Release file)",
        "https://github.com/datto/dattobd/issues/421",
        f"{_REPOSITORY}; echo 'deb file:/srv/repo trixie main' > {_LIST}/theirs.list",
        "warned",
        (
            f"apt cannot use a source of {_LIST}/theirs.list: The repository 'file:/srv/repo trixie Release' does not"
            " have a Release file.; what is wanted comes from others; take that one out, or mend it",
        ),
    ),
    State(
        "apt-key-refused",
        "a repository is signed by a key that nobody here has",
        "https://github.com/gluster/glusterfs/issues/4664",
        f"{_REPOSITORY}; printf '%s\\n' 'Suite: stable' 'Components: main' 'Architectures: amd64' 'Date: Mon, 01 Dec"
        f" 2025 00:00:00 UTC' > /srv/repo/dists/stable/Release;"
        f" echo 'deb file:/srv/repo stable main' > {_LIST}/old.list",
        "warned",
        (f"apt cannot use a source of {_LIST}/old.list: ", "is not signed.; what is wanted comes from others"),
    ),
    State(
        "apt-unreachable",
        "a repository's server is gone",
        "https://github.com/ansible-community/ppa/issues/89",
        f"echo 'deb [trusted=yes] {_HERE}/gone trixie main' > {_LIST}/gone.list",
        "warned",
        (f"apt cannot use a source of {_LIST}/gone.list: ",),
    ),
    State(
        "apt-proxy-dead",
        "apt is told a proxy that is gone",
        UNREPORTED,
        'echo \'Acquire::http::Proxy "http://127.0.0.1:3142"; Acquire::https::Proxy "http://127.0.0.1:3142";\''
        " > /etc/apt/apt.conf.d/99proxy",
        "refused",
        (
            "apt has no source of ",
            "Debian's own has them: write mirrors.debian, or mend /etc/apt/sources.list.d/debian.sources, until apt-get"
            " update ends without an error",
        ),
        "rm /etc/apt/apt.conf.d/99proxy",
    ),
    State(
        "apt-no-debian",
        "the host was made offline: no source of Debian's is left",
        UNREPORTED,
        f"mv {_LIST}/debian.sources /root/; rm -rf /var/lib/apt/lists/*",
        "refused",
        ("apt has no source of ", "Debian's own has them: write mirrors.debian, or mend"),
        f"mv /root/debian.sources {_LIST}/",
    ),
    State(
        "dpkg-interrupted",
        "an upgrade was broken off: a package is unpacked and not configured",
        UNREPORTED,
        "apt-get -q update && cd /tmp && apt-get -q download hello && dpkg --unpack hello_*.deb && rm hello_*.deb",
        proves="[ \"$(dpkg-query -W -f '${db:Status-Status}' hello)\" = installed ]",
    ),
    State(
        "policy-rc-d",
        "the image forbids packages to start their services (policy-rc.d)",
        "https://github.com/YunoHost/issues/issues/1933",
        "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d",
        proves="systemctl is-active fail2ban",
    ),
    State(
        "no-docs",
        "dpkg leaves documentation out, as small images have it",
        UNREPORTED,
        "printf '%s\\n' 'path-exclude /usr/share/doc/*' 'path-exclude /usr/share/man/*' 'path-exclude"
        " /usr/share/locale/*' > /etc/dpkg/dpkg.cfg.d/docker",
        sections=("rootless_docker",),
    ),
)

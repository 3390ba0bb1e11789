"""Users, groups and homes that were there before us."""

from __future__ import annotations

from tests.lab.zoo.state import UNREPORTED, State

STATES = (
    State(
        "home-elsewhere",
        "the user claude is there, with its home on another disk",
        UNREPORTED,
        "useradd -m -d /srv/claude -s /bin/bash claude",
        "refused",
        (
            "the home of claude is /srv/claude, and Signalbox keeps what is claude's in /home/claude; move it (usermod"
            " -m -d /home/claude claude, with nothing of claude's running), or write another name into"
            " service_user.name or gateway.user",
        ),
        "usermod -m -d /home/claude claude",
    ),
    State(
        "group-exists",
        "a group has the service user's name",
        "https://github.com/ansible/ansible/issues/6210",
        "groupadd -g 4321 claude",
        proves="[ $(id -g claude) = 4321 ]",
    ),
    State(
        "group-with-members",
        "a group of that name has members",
        "https://github.com/ansible/ansible/issues/6210",
        "useradd -m ann && groupadd -g 4321 claude && gpasswd -a ann claude",
        proves="[ $(id -g claude) = 4321 ] && id -Gn ann | grep -qw claude",
    ),
    State(
        "primary-group-users",
        "new users have the group `users`, not one of their own (USERGROUPS_ENAB no)",
        UNREPORTED,
        "sed -i 's/^USERGROUPS_ENAB.*/USERGROUPS_ENAB no/' /etc/login.defs",
        proves="[ $(id -gn claude) = claude ]",
    ),
    State(
        "user-from-directory",
        "the user claude comes from a directory of users, not from /etc/passwd",
        "https://github.com/ansible/ansible-modules-core/issues/891",
        "apt-get -q update && apt-get -yq install libnss-extrausers"
        " && sed -i 's/^\\(passwd\\|group\\|shadow\\):.*/& extrausers/' /etc/nsswitch.conf"
        " && echo 'claude:x:5000:5000::/home/claude:/bin/bash' > /var/lib/extrausers/passwd"
        " && echo 'claude:x:5000:' > /var/lib/extrausers/group"
        " && echo 'claude:*:20000:0:99999:7:::' > /var/lib/extrausers/shadow",
        "refused",
        (
            "the user claude comes from a directory of users (LDAP, sssd), and Signalbox needs one of the host's own,"
            " with subordinate ids; write another name into service_user.name or gateway.user",
        ),
        told={"service_user": {"name": "agent"}},
    ),
    State(
        "home-noexec",
        "/home is a file system of its own, mounted with noexec",
        "https://github.com/nvm-sh/nvm/issues/1675",
        "mount -t tmpfs -o size=9g,noexec,mode=755 home /home",
        "refused",
        (
            "/home is mounted with noexec, and programs of ours run from there; take it out of /etc/fstab, and mount -o"
            " remount,exec /home",
        ),
        "mount -o remount,exec /home",
        sections=("toolchain", "launchers"),
    ),
    State(
        "home-small",
        "/home is a file system of its own, and small",
        UNREPORTED,
        "mount -t tmpfs -o size=48m,mode=755 home /home",
        "refused",
        (
            "48 MiB are free under /home, a file system of its own, which needs 64; make room there, or lower"
            " preflight.min_disk_mib",
        ),
        "mount -o remount,size=100m /home",
    ),
    State(
        "tmp-noexec",
        "the directory for temporary files is mounted with noexec, nosuid and nodev, as hardening guides have it",
        "https://github.com/konstruktoid/hardening/issues/52",
        "mount -t tmpfs -o noexec,nosuid,nodev,mode=1777 tmp /tmp",
        sections=("rootless_docker", "gateway", "toolchain", "launchers", "secrets", "doctor"),
    ),
    State(
        "usr-readonly",
        "/usr is mounted read-only, and made writable for upgrades alone",
        UNREPORTED,
        "mount --bind /usr /usr && mount -o remount,bind,ro /usr",
        "refused",
        ("/usr is mounted read-only; mount -o remount,rw /usr, and see /etc/fstab",),
        "umount /usr",
    ),
)

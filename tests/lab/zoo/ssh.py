"""What sshd, keys and sudo ask of who comes in."""

from __future__ import annotations

from tests.lab.zoo.state import UNREPORTED, State

_ADMIN = (
    "useradd -m -s /bin/bash admin && install -d -m 700 -o admin -g admin /home/admin/.ssh"
    " && install -m 600 -o admin -g admin /root/.ssh/authorized_keys /home/admin/.ssh/authorized_keys"
)
_SUDO = " && echo 'admin ALL=(ALL:ALL) NOPASSWD:ALL' > /etc/sudoers.d/admin"
# As cloud-init writes it (disable_root).
_CLOUD_INIT = (
    "s/^/no-port-forwarding,no-agent-forwarding,no-X11-forwarding,command=\"echo '\"'\"'Please login as the user"
    ' \\\\"admin\\\\" rather than the user \\\\"root\\\\".\'"\'"\';echo;sleep 1;exit 142" /'
)
AS_ADMIN = {"ssh_user": "admin", "connection": {"sudo": True}}

STATES = (
    State(
        "password-expired",
        "a fresh VPS wants root's password changed at the first login (chage -d 0)",
        "https://github.com/Gamocosm/Gamocosm/issues/121",
        "echo root:first-password | chpasswd && chage -d 0 root",
        "refused",
        (
            "root's password there has expired, and sshd runs nothing before it is changed; log in once by"
            " hand (ssh root@{address}) and change it, or at the console: chage -d -1 root",
        ),
        "chage -d -1 root",
    ),
    State(
        "cloud-init-root",
        "a cloud image lets nobody work as root: cloud-init has put a command before its key",
        "https://github.com/voxpupuli/beaker/issues/620",
        f"{_ADMIN}{_SUDO}; sed -i '{_CLOUD_INIT}' /root/.ssh/authorized_keys",
        "refused",
        (
            'the image there wants you to log in as "admin" and not as root; write "ssh_user": "admin" and'
            ' "connection": {{"sudo": True}} for this host in the inventory',
        ),
        told=AS_ADMIN,
    ),
    State(
        "forced-command",
        "root's key has a command of the person's own, for a backup",
        UNREPORTED,
        "sed -i 's/^/command=\"echo this key is for backups\" /' /root/.ssh/authorized_keys",
        "refused",
        (
            'the login of root runs something else than what it is asked, and says "this key is for backups": a'
            " command= before this key in ~/.ssh/authorized_keys there, ForceCommand of sshd's, or what ~/.bashrc and"
            " its like start; take it out, or let another key in",
        ),
        "sed -i 's/^command=\"[a-z ]*\" //' /root/.ssh/authorized_keys",
    ),
    State(
        "sudo-requiretty",
        "sudo works at a terminal alone (requiretty), as older hardening guides have it",
        "https://github.com/rundeck/rundeck/issues/3475",
        f"{_ADMIN}{_SUDO}; echo 'Defaults requiretty' >> /etc/sudoers.d/admin",
        "refused",
        (
            "sudo there wants a terminal, which a deploy has not; write `Defaults:admin !requiretty` into"
            " /etc/sudoers.d/signalbox-admin (visudo -f /etc/sudoers.d/signalbox-admin)",
        ),
        "echo 'Defaults:admin !requiretty' > /etc/sudoers.d/signalbox-admin",
        settings=AS_ADMIN,
    ),
    State(
        "sudo-asks",
        "sudo asks for a password that the settings do not name",
        "https://github.com/kubernetes-sigs/kubespray/issues/3343",
        f"{_ADMIN} && echo admin:pw | chpasswd && echo 'admin ALL=(ALL:ALL) ALL' > /etc/sudoers.d/admin",
        "refused",
        (
            "sudo there asks admin for a password; name the secret that holds it in connection.sudo_password, or"
            " let admin do without (NOPASSWD in /etc/sudoers.d)",
        ),
        "echo 'admin ALL=(ALL:ALL) NOPASSWD:ALL' > /etc/sudoers.d/admin",
        settings=AS_ADMIN,
    ),
    State(
        "sudo-unresolved",
        "the host's own name is not in /etc/hosts, so that sudo complains each time",
        UNREPORTED,
        f"{_ADMIN}{_SUDO}; sed -i '/127.0.1.1/d' /etc/hosts; sed -i '/^nameserver/s/.*/nameserver 198.18.255.254/'"
        " /etc/resolv.conf.none 2>/dev/null; true",
        settings=AS_ADMIN,
    ),
    State(
        "sshrc",
        "/etc/ssh/sshrc and a banner of sshd's say something at each login",
        "https://github.com/ansible/ansible/issues/6309",
        "echo 'echo You are being watched' > /etc/ssh/sshrc; echo 'Authorised use only.' > /etc/issue.net;"
        " echo 'Banner /etc/issue.net' > /etc/ssh/sshd_config.d/00-banner.conf; systemctl reload ssh",
    ),
    State(
        "one-session",
        "sshd grants one session a connection (MaxSessions 1)",
        "https://github.com/gravitational/teleport/issues/23593",
        "echo 'MaxSessions 1' > /etc/ssh/sshd_config.d/00-sessions.conf; systemctl reload ssh",
        "refused",
        (
            "sshd there grants one session a connection (MaxSessions), and a deploy needs two: for its commands, and"
            " for the host's lock; write MaxSessions 4 into /etc/ssh/sshd_config.d/00-sessions.conf, and systemctl"
            " reload ssh",
        ),
        "echo 'MaxSessions 4' > /etc/ssh/sshd_config.d/00-sessions.conf; systemctl reload ssh",
    ),
    State(
        "no-sftp",
        "sshd has no sftp, as hardening guides have it",
        UNREPORTED,
        "sed -i '/^Subsystem/d' /etc/ssh/sshd_config; systemctl reload ssh",
    ),
    State(
        "ssh-socket",
        "sshd is started by systemd for each connection (ssh.socket)",
        UNREPORTED,
        "systemctl disable -q --now ssh.service; systemctl enable -q --now ssh.socket",
    ),
)

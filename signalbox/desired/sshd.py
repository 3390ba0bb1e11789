"""Pure: what sshd is told, and how that compares with what it makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from signalbox.settings.sections.ssh import Ssh

DIRECTORY = "/etc/ssh/sshd_config.d"
DROP_IN = f"{DIRECTORY}/00-signalbox.conf"
POST_QUANTUM = ("mlkem768x25519-sha256", "sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com")
# The name that paramiko 4 has for it. One classic exchange, as each is a warning of ssh-audit.
CLASSIC = "curve25519-sha256@libssh.org"
_MACS = ("hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "umac-128-etm@openssh.com")
# Without the NIST curves; certificates are there for hosts that have one.
_HOST_KEYS = tuple(f"{key}{tail}" for tail in ("-cert-v01@openssh.com", "") for key in ("ssh-ed25519", "rsa-sha2-512"))


def directives(settings: Ssh, keys_only: bool, unpunished: Sequence[str]) -> dict[str, str]:
    """Return the keywords of sshd_config(5) with their values.

    Args:
        settings: the section.
        keys_only: whether password logins may be off.
        unpunished: networks, as CIDR, whose failed logins sshd does not punish by itself.
    """
    values = {
        "PermitRootLogin": {"key": "prohibit-password", "no": "no"}[settings.root_login],
        "KexAlgorithms": ",".join((*POST_QUANTUM, *([CLASSIC] if settings.classic_kex else []))),
        "MACs": ",".join(_MACS),
        "HostKeyAlgorithms": ",".join(_HOST_KEYS),
        "LoginGraceTime": "30",
        "MaxAuthTries": str(settings.max_auth_tries),
        "MaxStartups": "10:30:60",
        "ClientAliveInterval": "300",  # a client that is gone is noticed after ten minutes
        "ClientAliveCountMax": "2",
        "TCPKeepAlive": "no",  # anyone on the way can send those
        "Compression": "no",
        "AllowAgentForwarding": "no",
        "AllowTcpForwarding": "yes" if settings.tcp_forwarding else "no",
        "X11Forwarding": "no",
        "LogLevel": "VERBOSE",
    }
    if keys_only:
        values |= {"PasswordAuthentication": "no", "KbdInteractiveAuthentication": "no"}
    if settings.allow_users:
        values["AllowUsers"] = " ".join(settings.allow_users)
    if unpunished:
        values["PerSourcePenaltyExemptList"] = ",".join(unpunished)
    return values


_SPOKEN = {"prohibit-password": "without-password"}  # as `sshd -T` says it


def overridden(values: Mapping[str, str], effective: Mapping[str, str]) -> list[str]:
    """Return what sshd makes otherwise than `values` say, one text each; another file has a word there too."""
    found = []
    for keyword, value in values.items():
        now = effective.get(keyword.lower(), "missing")
        if now.lower() != _SPOKEN.get(value, value).lower():
            found.append(f"{keyword} is {now}, not {value}")
    return found

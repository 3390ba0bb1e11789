"""How to log in: the lab's key, the hosts' keys known beforehand, one ssh configuration for all."""

from __future__ import annotations

from tests.lab.instance import Lab, locked
from tests.lab.machine import sh, write


def make_key(lab: Lab) -> None:
    """Generate the lab's login key, once."""
    with locked(f"{lab.name}.access"):
        if not lab.key.with_suffix(".pub").exists():
            lab.key.unlink(missing_ok=True)  # the half of an interrupted generation
            lab.state.chmod(0o700)
            comment = f"signalbox lab {lab.name}"
            sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(lab.key))


def known_hosts(lab: Lab) -> str:
    """Return the path of the lab's known_hosts file: every host's keys, under its name and both addresses."""
    return str(lab.state / "known_hosts")


def refresh(lab: Lab) -> None:
    """Write known_hosts and ssh_config for the hosts that exist now."""
    keys, blocks = [], []
    with locked(f"{lab.name}.access"):
        for name in lab.hosts():
            facts = lab.host(name).facts()
            ipv4, ipv6 = lab.ipv4(facts["number"]), lab.ipv6(facts["number"])
            keys += [f"{name},{ipv4},{ipv6} {key}\n" for key in facts["host_keys"]]
            blocks.append(f"Host {name}\n    HostName {ipv4}\n")
        write(lab.state / "known_hosts", "".join(keys))
        write(lab.state / "ssh_config", "".join(blocks) + _common(lab))


def ssh(lab: Lab, name: str, user: str = "root", *options: str) -> list[str]:
    """Return the ssh command line that logs in as `user`; a command may be appended."""
    lab.host(name)
    return ["ssh", "-F", str(lab.state / "ssh_config"), *options, f"{user}@{name}"]


def _common(lab: Lab) -> str:
    """Return the options of every connection: only this key, only known hosts, nothing shared or asked."""
    return f"""Host *
    User root
    IdentityFile "{lab.key}"
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile "{known_hosts(lab)}"
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    BatchMode yes
    ControlMaster no
    ControlPath none
    ConnectTimeout 5
    LogLevel ERROR
"""

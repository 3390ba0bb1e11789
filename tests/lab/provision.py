"""Makes a host: what sets it apart from the base tree, written into its overlay before the first boot."""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

from tests.lab import base
from tests.lab.instance import HostFiles, Lab, locked
from tests.lab.machine import LabError, sh, write
from tests.lab.zoo.state import State

# nspawn lays a pipe over /proc/kmsg that it has unlinked. Nothing can be mounted on that, as ProtectKernelLogs= of
# a unit does; a machine has no such pipe.
KMSG_UNIT = """[Unit]
Description=A kernel log as on a machine
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
ExecStart=umount /proc/kmsg
"""
FIRST_ID = 1 << 24  # of hosts that have ids of their own
FIRST_NUMBER = 11  # below: this machine (1) and room to spare


# What a copied disk must not bring along; ssh-keygen makes only keys that are missing.
_OWN = ("etc/ssh/ssh_host_*", "var/lib/systemd/credential.secret", "var/lib/systemd/random-seed")


def create(lab: Lab, host: HostFiles, tree: Path, disk: Path | None = None, states: Sequence[State] = ()) -> None:
    """Create the host on the base tree with its own machine-id, SSH host keys and addresses.

    `disk`: the overlay of another host, which does not run; the new one starts with a copy of it. `states`: what of
    the zoo it shall be as; here is what of that counts from its first boot.
    """
    shutil.rmtree(host.directory, ignore_errors=True)  # what an interrupted creation left
    with locked(f"{lab.name}.numbers"):
        number = _free_number(lab)
        write(host.number_file, str(number))
    if disk is not None:
        sh("cp", "--archive", str(disk), str(host.upper))
        for own in (path for pattern in _OWN for path in host.upper.glob(pattern)):
            own.unlink()
    machine_id = uuid.uuid4().hex
    files = {
        "etc/machine-id": f"{machine_id}\n",
        "etc/hostname": f"{host.name}\n",
        "etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {host.name}\n::1 localhost ip6-localhost ip6-loopback\n",
        "etc/resolv.conf": _resolv_conf(),
        "etc/network/interfaces.d/host0": _interfaces(lab, number),
        "etc/systemd/system/lab-kmsg.service": KMSG_UNIT,
        "root/.ssh/authorized_keys": lab.key.with_suffix(".pub").read_text(),
    }
    for relative, text in files.items():
        _directory(tree, host.upper, Path(relative).parent)
        write(host.upper / relative, text)
    (host.upper / "root/.ssh").chmod(0o700)
    wanted = Path("etc/systemd/system/sysinit.target.wants")
    _directory(tree, host.upper, wanted)
    link = host.upper / wanted / "lab-kmsg.service"
    link.unlink(missing_ok=True)  # that of a copied disk
    link.symlink_to("../lab-kmsg.service")
    _directory(tree, host.upper, Path("etc/ssh"))
    sh("ssh-keygen", "-A", "-f", str(host.upper))
    public = [path.read_text().split()[:2] for path in sorted(host.upper.glob("etc/ssh/ssh_host_*.pub"))]
    facts = {"number": number, "machine_id": machine_id, "base": str(tree), "host_keys": [" ".join(k) for k in public]}
    if options := [word for state in states for word in state.boot]:
        facts["options"] = options
    if private := max((state.private for state in states), default=0):
        base.give(host.upper, FIRST_ID)
        facts |= {"private": private, "base": str(base.owned(tree, FIRST_ID))}
        words = [f"--private-users={FIRST_ID}:{private}", "--private-users-ownership=off"]
        facts["options"] = [*options, *words]
    write(host.record, json.dumps(facts, indent=1))


def _free_number(lab: Lab) -> int:
    taken = {int(path.read_text()) for path in lab.state.glob("hosts/*/number")}
    for number in range(FIRST_NUMBER, 255):
        if number not in taken:
            return number
    raise LabError(f"lab {lab.name!r} is full: python -m tests.lab down NAME")


def _directory(tree: Path, upper: Path, relative: Path) -> None:
    """Make a directory in the overlay as the base tree has it: an overlay takes mode and owner from the upper one."""
    for part in [*reversed(relative.parents), relative]:
        path, original = upper / part, tree / part
        if not path.exists():
            path.mkdir(parents=True)
            path.chmod(original.stat().st_mode & 0o7777 if original.exists() else 0o755)


def _resolv_conf() -> str:
    """Return the machine's resolver configuration, or its upstream's where a local stub listens on loopback."""
    text = Path("/etc/resolv.conf").read_text()
    servers = re.findall(r"^nameserver\s+(\S+)", text, re.M)
    upstream = Path("/run/systemd/resolve/resolv.conf")
    if all(server.startswith("127.") or server == "::1" for server in servers) and upstream.exists():
        return upstream.read_text()
    return text


def _interfaces(lab: Lab, number: int) -> str:
    """Return interfaces(5); no duplicate address detection, it costs two seconds of every boot."""
    return f"""auto host0
iface host0 inet static
    address {lab.ipv4(number)}/24
    gateway {lab.ipv4(1)}
iface host0 inet6 static
    address {lab.ipv6(number)}/64
    gateway {lab.ipv6(1)}
    accept_ra 0
    dad-attempts 0
"""

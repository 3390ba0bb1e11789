"""The network between hosts: a bridge with IPv4 and IPv6, masquerade towards the uplink, forwarding switched on."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.lab.instance import Lab, labs_directory, locked
from tests.lab.machine import LabError, sh, write

LOCK = "labs-network"  # no lab's name
INOTIFY = 4096  # instances of inotify(7)


def up(lab: Lab) -> None:
    """Give the lab its network, where it is missing; leave what is there."""
    with locked(LOCK):
        if not (lab.state / "network.json").exists():
            write(lab.state / "network.json", json.dumps({"number": _free_number()}))
        _forward()
        if not sh("ip", "link", "show", lab.bridge, check=False):
            sh("ip", "link", "add", lab.bridge, "type", "bridge")
        sh("ip", "address", "replace", f"{lab.ipv4(1)}/24", "dev", lab.bridge)
        sh("ip", "address", "replace", f"{lab.ipv6(1)}/64", "dev", lab.bridge, "nodad")
        sh("ip", "link", "set", lab.bridge, "up")
        sh("nft", "-f", "-", stdin=_ruleset(lab))


def down(lab: Lab) -> None:
    """Take the lab's network away; the last lab to go sets forwarding back to what it was."""
    with locked(LOCK):
        if sh("ip", "link", "show", lab.bridge, check=False):
            sh("ip", "link", "delete", lab.bridge)
        if lab.table in sh("nft", "list", "tables", "inet").split():
            sh("nft", "delete", "table", "inet", lab.table)
        record = labs_directory() / "sysctl.json"
        users = [path.parent.name for path in labs_directory().glob("*/network.json")]
        if record.exists() and users in ([], [lab.name]):
            for name, value in json.loads(record.read_text()).items():
                if Path("/proc/sys", name).exists():
                    Path("/proc/sys", name).write_text(value)
            record.unlink()
        (lab.state / "network.json").unlink(missing_ok=True)


def _free_number() -> int:
    taken = {json.loads(path.read_text())["number"] for path in labs_directory().glob("*/network.json")}
    taken |= {int(number) for number in re.findall(r"\b198\.18\.(\d+)\.", sh("ip", "-4", "route"))}
    for number in range(256):
        if number not in taken:
            return number
    raise LabError("every network of 198.18.0.0/16 is taken: take labs down, python -m tests.lab down")


def _forward() -> None:
    """Switch forwarding on, and let many hosts watch files, after writing down what was there before."""
    wanted = {"net/ipv4/ip_forward": "1"}
    uplinks = re.findall(r"\bdev (\S+)", sh("ip", "-6", "route", "show", "default"))
    if uplinks:
        # A router ignores router advertisements, and a default route learnt from them would expire; with 2 it listens.
        learns = [name for device in uplinks if _sysctl(name := f"net/ipv6/conf/{device}/accept_ra") == "1"]
        wanted |= dict.fromkeys(learns, "2") | {"net/ipv6/conf/all/forwarding": "1"}
    # Root's on all hosts together, which share this kernel and have no user namespace: with 128 the eleventh fails.
    if int(_sysctl("fs/inotify/max_user_instances")) < INOTIFY:
        wanted["fs/inotify/max_user_instances"] = str(INOTIFY)
    record = labs_directory() / "sysctl.json"
    recorded = json.loads(record.read_text()) if record.exists() else {}
    changed = {name: before for name, value in wanted.items() if (before := _sysctl(name)) != value}
    if changed:
        write(record, json.dumps(changed | recorded))
        for name in changed:
            Path("/proc/sys", name).write_text(wanted[name])


def _sysctl(name: str) -> str:
    return Path("/proc/sys", name).read_text().strip()


def _ruleset(lab: Lab) -> str:
    """Return the table as it shall be; nftables applies a file in one transaction."""
    ipv4, ipv6 = f"{lab.ipv4(0)}/24", f"{lab.ipv6(0)}/64"
    return f"""
table inet {lab.table}
delete table inet {lab.table}
table inet {lab.table} {{
    chain postrouting {{
        type nat hook postrouting priority srcnat
        ip saddr {ipv4} ip daddr != {ipv4} masquerade
        ip6 saddr {ipv6} ip6 daddr != {ipv6} masquerade
    }}
}}
"""

"""Runs one host: mounts its overlay, boots it in a cgroup of its own, boots it again after a reboot.

Started as `unshare --mount … python supervisor.py JSON`, detached: the overlay is mounted in this process's own
mount namespace, so it is gone with the host whatever happens. Standard library only, to start fast and stay small.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

REBOOT = 133  # systemd-nspawn's exit status for "the container asked to be rebooted"


def record(path: str, pid: int) -> None:
    """Write the process's pid and start time (clock ticks since boot), so that it cannot be mistaken later."""
    start = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    Path(path + ".new").write_text(json.dumps({"pid": pid, "start": start}))
    os.replace(path + ".new", path)


def main(host: dict[str, Any]) -> int:
    """Run the host until it is powered off; return systemd-nspawn's exit status."""
    record(host["supervisor"], os.getpid())
    for path in (host["work"], host["root"], host["cgroup"]):
        os.makedirs(path, exist_ok=True)
    layers = f"lowerdir={host['base']},upperdir={host['upper']},workdir={host['work']}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, host["root"]], check=True)
    nspawn = [
        "systemd-nspawn", f"--directory={host['root']}", f"--machine={host['machine']}", f"--hostname={host['name']}",
        "--boot", "--keep-unit", "--register=no", f"--network-bridge={host['bridge']}", "--resolv-conf=off",
        "--timezone=off", "--capability=all", "--system-call-filter=add_key keyctl bpf @mount", "--console=pipe",
        *(f"--bind={device}" for device in ("/dev/fuse", "/dev/net/tun") if os.path.exists(device)),
        *host["options"],
    ]  # fmt: skip
    status = REBOOT
    while status == REBOOT:
        # A killed host can leave its cable behind, and systemd-nspawn would not start again.
        subprocess.run(["ip", "link", "delete", host["veth"]], check=False, stderr=subprocess.DEVNULL)
        # The shell enters the host's cgroup and becomes systemd-nspawn; this process stays outside.
        enter = ["sh", "-c", 'echo 0 > "$0/cgroup.procs" && exec "$@"', host["cgroup"], *nspawn]
        with subprocess.Popen(
            enter, stdin=subprocess.DEVNULL, env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        ) as running:
            record(host["leader"], running.pid)
            status = running.wait()
    subprocess.run(["ip", "link", "delete", host["veth"]], check=False, stderr=subprocess.DEVNULL)
    for path in (host["leader"], host["supervisor"]):
        os.unlink(path)
    return status


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))

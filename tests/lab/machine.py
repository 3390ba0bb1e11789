"""The machine under the lab: commands, progress, processes known by their records."""

from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

progress = Console(stderr=True, highlight=False)
log = logging.getLogger(__name__)

# command: the Debian package that brings it
COMMANDS = {
    "apt-config": "apt",
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "strace": "strace",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setsid": "util-linux",
    "sysctl": "procps",
}


class LabError(Exception):
    """What stops the lab, in one sentence that says what to do."""


def require_machine() -> None:
    """Raise LabError when this machine cannot run lab hosts."""
    if os.geteuid() != 0:
        raise LabError("lab hosts need root: run it as root, or with sudo")
    path = os.environ.get("PATH", os.defpath).split(":")
    os.environ["PATH"] = ":".join(dict.fromkeys([*path, "/usr/sbin", "/sbin"]))  # `su` leaves these out
    missing = sorted({package for command, package in COMMANDS.items() if shutil.which(command) is None})
    if missing:
        raise LabError(f"lab hosts need a Debian machine with: apt-get install {' '.join(missing)}")
    if "overlay" not in Path("/proc/filesystems").read_text():
        subprocess.run(["modprobe", "overlay"], check=False, capture_output=True)
    if "overlay" not in Path("/proc/filesystems").read_text():
        raise LabError("lab hosts need overlayfs, which this kernel does not have")
    cgroup_root()


def cgroup_root() -> Path:
    """Return where cgroup v2 is mounted: /sys/fs/cgroup, or /sys/fs/cgroup/unified in hybrid mode."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, path, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(path)
    raise LabError("lab hosts need cgroup v2, which is not mounted here (pure v2 and hybrid mode both do)")


def sh(*command: str, stdin: str | None = None, check: bool = True) -> str:
    """Run a command of this machine and return its stdout; raise LabError with its stderr when it fails."""
    log.info("$ %s", shlex.join(command))
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise LabError(f"`{' '.join(command)}` failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


@contextmanager
def step(text: str) -> Iterator[None]:
    """Show `text` while the body runs, and the seconds it took when they are worth telling."""
    started = time.monotonic()
    if progress.is_terminal:
        with progress.status(text):
            yield
    else:
        progress.print(f"{text} …")
        yield
    took = time.monotonic() - started
    if took >= 2:
        progress.print(f"{text}: {took:.1f} s")


def wait_until(true: Callable[[], bool], seconds: float, interval: float = 0.05) -> bool:
    """Ask `true` every `interval` seconds for at most `seconds`; return whether it came true."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file atomically, never readable by more than `mode` says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(text)
    temporary.chmod(mode)
    temporary.replace(path)


@dataclass(frozen=True)
class Process:
    """A process that cannot be mistaken for a later one with the same pid: `start` is its start time in ticks."""

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """Return the process with this pid; None when there is none, or only its zombie."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The first thread may be gone while others still hold the process's sockets: field 20 of proc_pid_stat(5).
        ended = fields[0] in "ZX" and int(fields[17]) <= 1
        return None if ended else cls(pid, int(fields[19]))

    @classmethod
    def recorded(cls, path: Path) -> Process | None:
        """Return the process that `path` records, if it still runs."""
        try:
            record = json.loads(path.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        process = cls(record["pid"], record["start"])
        return process if process.alive() else None

    def alive(self) -> bool:
        """Return whether exactly this process still runs."""
        return Process.of(self.pid) == self

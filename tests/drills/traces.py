"""Every program that is started, with its arguments: strace on a lab host's processes, and on one of this machine.

On the host also everything that is written to a file, one that is removed a moment later included.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.drills.stage import HOST
from tests.lab.instance import Lab
from tests.lab.machine import Process, wait_until

# Arguments whole, environments too (they follow the arguments and are cut off here).
_STRACE = ("strace", "-f", "-qq", "-e", "abbrev=none", "-s", "1000000")
_STARTS, _WRITES = "execve,execveat", "write,pwrite64,writev,pwritev,pwritev2"
_COPIES = "copy_file_range,sendfile,splice"  # within the kernel: strace tells from where to where, and not what
# They start nothing but what runs inside of containers, and would be slowed down most.
_LEFT_OUT = {"fuse-overlayfs", "slirp4netns", "litellm", "systemd-journal", "containerd", "containerd-shim"}
_ATTACH_SECONDS = 60
# A line: 1234 write(1</tmp/x>, "…", 3) = 3; not what goes to a terminal or to nowhere.
_TO_A_FILE = re.compile(r"^\d+ +p?writev?\w*\(\d+</(?!dev/(pts|null|tty))")
# From where to which file: sendfile(4</to>, 3</from>, …), the others (3</from>, NULL, 4</to>, …); no socket, no pipe.
_COPY = re.compile(
    r"^\d+ +(?:sendfile\(\d+<(?P<to>/[^>]*)>, \d+<(?P<source>[^>]*)>"
    r"|(?:copy_file_range|splice)\(\d+<(?P<source_too>[^>]*)>, \S+, \d+<(?P<to_too>/[^>]*)>).*= [1-9]\d*$"
)


class HostTrace:
    """As a context manager: traces every process that is started on a lab host, by whatever runs there now."""

    def __init__(self, host: str = HOST) -> None:
        self._files = Lab.current().host(host)
        self._out = tempfile.NamedTemporaryFile("r", errors="replace")  # noqa: SIM115 (as long as the trace)

    def __enter__(self) -> HostTrace:
        pids = [pid for pid in self._pids() if _name(pid) not in _LEFT_OUT]
        attach = [word for pid in pids for word in ("-p", str(pid))]
        # -y: the file behind each descriptor.
        words = [*_STRACE, "-y", "-e", f"trace={_STARTS},{_WRITES},{_COPIES}", "-o", self._out.name, *attach]
        self._strace = subprocess.Popen(words, stdin=subprocess.DEVNULL)
        traced = wait_until(lambda: all(_traced(pid) for pid in pids), _ATTACH_SECONDS)
        if not traced:
            self.__exit__()
        assert traced, "strace did not attach to every process of the host"
        return self

    def __exit__(self, *_: object) -> None:
        self._strace.send_signal(signal.SIGINT)
        self._strace.wait(60)

    def started(self) -> str:
        """Return a line for each program that was started, with its arguments."""
        return _arguments(Path(self._out.name))

    def written(self) -> str:
        """Return a line for each write to a file, with the file and what was written; pipes and sockets are none."""
        return "\n".join(line for line in _lines(Path(self._out.name)) if _TO_A_FILE.search(line))

    def copied(self) -> list[tuple[str, str]]:
        """Return from where and to which file the kernel itself has copied; a pipe is `pipe:[number]`."""
        found = (_COPY.search(line) for line in _whole(_lines(Path(self._out.name))))
        return [(each["source"] or each["source_too"], each["to"] or each["to_too"]) for each in found if each]

    def _pids(self) -> list[int]:
        pids: list[int] = []
        for directory, _, _ in os.walk(self._files.cgroup):  # sessions come and go, and their cgroups with them
            with suppress(OSError):
                pids += map(int, (Path(directory) / "cgroup.procs").read_text().split())
        return pids


@dataclass(frozen=True)
class Ran:
    """A command that has run; started: a line for each program, itself among them, with its arguments."""

    stdout: str
    stderr: str
    started: str
    status: int


def run(command: Sequence[str], cwd: Path, environment: Mapping[str, str], stdin: str = "") -> Ran:
    """Run a command of this machine, traced."""
    with tempfile.NamedTemporaryFile("r") as out:
        done = subprocess.run(
            [*_STRACE, "--seccomp-bpf", "-e", f"trace={_STARTS}", "-o", out.name, "--", *command],
            cwd=cwd, env={**os.environ, **environment}, input=stdin, capture_output=True, text=True, timeout=900,
            check=False,
        )  # fmt: skip
        return Ran(done.stdout, done.stderr, _arguments(Path(out.name)), done.returncode)


def _lines(path: Path) -> Iterator[str]:
    with path.open(errors="replace") as lines:
        yield from lines


def _whole(lines: Iterator[str]) -> Iterator[str]:
    """Put lines together again that another process came between."""
    begun: dict[str, str] = {}
    for line in lines:
        pid = line.split(" ", 1)[0]
        if line.endswith("<unfinished ...>\n"):
            begun[pid] = line.removesuffix(" <unfinished ...>\n")
        elif "<... " in line and " resumed>" in line:
            yield begun.pop(pid, "") + line.split(" resumed>", 1)[1]
        else:
            yield line


def _arguments(path: Path) -> str:
    # A line: 1234 execve("/bin/true", ["true", "x"], ["HOME=/root", …]) = 0
    return "".join(f"{line.rpartition('], [')[0] or line}\n" for line in _lines(path) if "execve" in line[:40])


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _traced(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True  # it has ended
    return Process.of(pid) is None or "TracerPid:\t0\n" not in status

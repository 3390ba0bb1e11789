"""Runs of pyinfra on simulated hosts in a terminal whose screen is read (pyte), or in a pipe."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pyte

from signalbox.settings.layers import DEFAULTS

PROJECT = DEFAULTS.parents[1]
SECONDS = 60
KEY = "sk-simulated-0123456789"
DEPLOY = f"""
from pyinfra import host, logger
from pyinfra.api import deploy, operation
import signalbox.settings
from signalbox.engine.outcome import warn
from signalbox.engine.watching import raw_log

raw_log.hide(["{KEY}"])
warn("the disk of " + host.name + " is nearly full")

@operation()
def does(what):
    yield what

@deploy("Base")
def base():
    does(name="packages are installed", what="apt")
    does(name="users exist", what="useradd")

@deploy("Gateway")
def gateway():
    does(name="the image is there", what="docker pull")
    does(name="the unit runs", what="systemctl")

base()
gateway()
"""
# What must not be checked here: whether the settings are whole, and who has the locks.
PROGRAM = """
import pyinfra_cli.cli
from signalbox.engine import hooks
hooks.validate_run = hooks._check_secrets = lambda *_: None
hooks._AskAhead = type("None", (hooks.BaseStateCallback,), {})
import contextlib
hooks.applied = lambda *_: contextlib.nullcontext()
from pyinfra_cli.main import main
main()
"""
MOVES = re.compile(r"\x1b\[\d*[A-HJKfsu]|\x1b\[\?|\r(?!\n)")  # what draws on lines that stand already
QUIET = ("CI", "NO_COLOR", "PYINFRA_PROGRESS", "FORCE_COLOR")


@dataclass
class Ended:
    """A run at its end. screen: what stands in the terminal, with what has left it at its top; raw: all bytes."""

    status: int
    screen: str
    raw: str
    is_cursor_there: bool


class Runs:
    """Runs in a directory. `hosts` have a delay for each command, and one of them fails where `fails` is its name."""

    def __init__(self, directory: Path, hosts: Sequence[str], delay: float = 0.4, fails: str = "") -> None:
        self.directory = directory
        said = {"success": False, "stderr": ["E: no space left", f"\x1b]0;mine\x07\x1b[2J[@fake/box1] {KEY}"]}
        entries = [
            (f"@fake/{name}", {"fake_delay": delay, "fake_delay_jitter": 0,
                               "fake_responses": {"docker pull": said} if name == fails else {}})
            for name in hosts
        ]  # fmt: skip
        (directory / "inventory.py").write_text(f"boxes = {entries!r}\n")
        (directory / "deploy.py").write_text(DEPLOY)
        (directory / "program.py").write_text(PROGRAM)

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key not in QUIET}
        own = {"PYTHONPATH": str(PROJECT), "XDG_STATE_HOME": str(self.directory / "state"), "TERM": "xterm-256color"}
        return {**kept, **own, **more}

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [sys.executable, "program.py", "inventory.py", "deploy.py", *arguments]

    def piped(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it as a CI server does."""
        return subprocess.run(
            self._command(arguments or ("-y",)), cwd=self.directory, env=self._environment(environment),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip

    def shell(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line of bash, in which RUN is the run."""
        run = " ".join(self._command(("-y",)))
        return subprocess.run(
            ["bash", "-c", line.replace("RUN", run)], cwd=self.directory, env=self._environment({}),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip

    def watched(
        self,
        *arguments: str,
        size: tuple[int, int] = (80, 24),
        at: Callable[[Terminal], None] = lambda _: None,
        **environment: str,
    ) -> Ended:
        """Run it at a terminal of columns and lines; `at` is called with it once it runs, and may look and type."""
        terminal = Terminal(self._command(arguments or ("-y",)), self.directory, self._environment(environment), size)
        try:
            at(terminal)
            return terminal.ended()
        finally:
            terminal.child.close(force=True)

    def log(self) -> str:
        """Return the run's raw log."""
        (path,) = (self.directory / "state" / "signalbox" / "logs").glob("*.log")
        return path.read_text()


class Terminal:
    """A terminal with a run in it."""

    def __init__(
        self,
        command: list[str],
        directory: Path,
        env: dict[str, str],
        size: tuple[int, int],
        seconds: float = SECONDS,
    ) -> None:
        self._seconds, self._is_over = seconds, False
        self._pyte = pyte.HistoryScreen(*size, history=10_000, ratio=1)
        self._stream = pyte.ByteStream(self._pyte)
        self._raw = b""
        self.child = pexpect.spawn(
            command[0], command[1:], cwd=str(directory), env=env, dimensions=(size[1], size[0]), timeout=seconds
        )

    def _read(self) -> bool:
        try:
            read = self.child.read_nonblocking(65536, timeout=0.1)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            self._is_over = True
            return False
        self._raw += read
        self._stream.feed(read)
        return True

    def is_over(self) -> bool:
        """Read what comes next, and return whether that was its end."""
        return self._is_over or not self._read()

    def screen(self) -> str:
        """Return what stands on the screen now."""
        return "\n".join(line.rstrip() for line in self._pyte.display).strip("\n")

    def until(self, words: str) -> str:
        """Read on until these words are on the screen, and return it."""
        end = time.monotonic() + self._seconds
        while words not in self.screen():
            goes_on = self._read() and time.monotonic() < end
            assert goes_on, f"never said {words!r}:\n{self.screen()}"
        return self.screen()

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size, as a window manager does."""
        fcntl.ioctl(self.child.child_fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._pyte.resize(lines, columns)
        self.child.kill(signal.SIGWINCH)

    def ended(self) -> Ended:
        """Read to the end."""
        end = time.monotonic() + self._seconds
        while not self.is_over():
            assert time.monotonic() < end, self.screen()
        self.child.wait()
        gone = ["".join(line[at].data for at in range(self._pyte.columns)).rstrip() for line in self._pyte.history.top]
        status = self.child.exitstatus if self.child.exitstatus is not None else -(self.child.signalstatus or 0)
        text = "\n".join([*gone, self.screen()])
        return Ended(status, text, self._raw.decode(errors="replace"), not self._pyte.cursor.hidden)

"""A program of Claude Code's that is tried: with a lane's record, in a home of its own, with -p or at a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signalbox.certify.scripted import Scripted
from signalbox.host.launcher import config_dir, lane

LANE = "local-private"


PATIENCE = 60  # seconds; all of these take less than ten on a quiet machine


_CONTROLS = re.compile(
    r"\x1b\[[0-9;?<>=]*[a-zA-Z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b.|[\x00-\x08\x0b-\x1f]"
)


class OtherwiseError(Exception):
    """A setting did not do its work; the words say what was seen."""


@dataclass
class Trial:
    """A Claude Code, the model that it asks, a home for it, and the lane's record."""

    program: str
    model: Scripted
    home: Path
    record: dict[str, Any]

    @property
    def config(self) -> Path:
        """Its configuration directory."""
        return Path(self.record["environment"]["CLAUDE_CONFIG_DIR"])

    @property
    def work(self) -> Path:
        """The directory that it runs in."""
        return self.home / "work"

    def environment(self, base: dict[str, str] | None = None, *, headless: bool = True) -> dict[str, str]:
        """Return what a lane's command gives Claude Code; `base`: what the caller's shell has."""
        shell = {"HOME": str(self.home), "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8",
                 "TERM": "xterm-256color"}  # fmt: skip
        made = lane.environment(LANE, self.record, None, {"lanes": {LANE: self.record}}, {**shell, **(base or {})})
        return made | (lane.ENDING if headless else {})

    def fresh(self) -> None:
        """Have the lane's own settings in its directory, and nothing of an earlier row's."""
        (self.config / "settings.json").unlink(missing_ok=True)
        (self.config / config_dir.WRITTEN).unlink(missing_ok=True)
        config_dir.prepare(self.record, None)
        self.model.bodies.clear()

    def ask(self, prompt: str, *words: str, base: dict[str, str] | None = None) -> tuple[str, str]:
        """Return what a -p run prints on stdout and stderr. Raises OtherwiseError unless it ends in time."""
        process = subprocess.Popen(
            [self.program, "-p", prompt, *words], cwd=self.work, env=self.environment(base), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        try:
            said, errors = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise OtherwiseError(f"no end within {PATIENCE} s") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode:
            raise OtherwiseError(f"it ended with {process.returncode}: {(errors or said).strip()[-200:]}")
        return said.strip(), errors.strip()

    def screen(self, keys: str, *until: str) -> str:
        """Return what a terminal shows, without blanks: the first of these texts, the keys typed, and the others.

        Raises OtherwiseError where a text does not come in time.
        """
        child, terminal = pty.fork()
        if child == 0:
            try:
                os.chdir(self.work)
                os.execve(self.program, [self.program], self.environment(headless=False))  # noqa: S606 (no shell)
            finally:
                os._exit(127)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 150, 0, 0))
        shown = ""
        try:
            for number, words in enumerate(until):
                shown = self._read(terminal, words)
                if number == 0:
                    for key in keys:
                        os.write(terminal, key.encode())
                        time.sleep(0.1)
            return shown
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(terminal)

    def _read(self, terminal: int, words: str) -> str:
        shown, plain, deadline = "", "", time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 1)[0]:
                try:
                    shown += os.read(terminal, 1 << 16).decode(errors="replace")
                except OSError:
                    break
                # Without blanks: many of them are drawn by moving on.
                plain = "".join(_CONTROLS.sub("", shown).split())
                if "".join(words.split()) in plain:
                    return plain
        raise OtherwiseError(f"{words!r} never stood on the screen: {plain[-200:]}")

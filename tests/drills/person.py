"""A person at a terminal who runs `signalbox init`, driven by pexpect."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import pexpect

from tests.drills.record import PROJECT

WRONG = "✗"
SECONDS = 400  # for the slowest: a plan over sudo with a password, on a busy machine


@contextmanager
def clone() -> Iterator[Path]:
    """Give a clone of this project, with what is not committed yet, and take it away."""
    with tempfile.TemporaryDirectory(prefix="signalbox-init-") as directory:
        there = Path(directory) / "signalbox"
        subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(there)], check=True)
        words = ["git", "ls-files", "-mo", "--exclude-standard"]
        changed = subprocess.run(words, cwd=PROJECT, check=True, capture_output=True, text=True).stdout.split()
        for name in filter(lambda each: (PROJECT / each).is_file(), changed):
            (there / name).parent.mkdir(parents=True, exist_ok=True)
            (there / name).write_bytes((PROJECT / name).read_bytes())
        yield there


def environment(home: Path) -> dict[str, str]:
    """Return the environment of a person at home in `home`, who runs this tree's code and has no secret set."""
    kept = {key: value for key, value in os.environ.items() if not key.endswith(("_KEY", "_TOKEN", "_PASSWORD"))}
    return {**kept, "HOME": str(home), "PYTHONPATH": str(PROJECT), "TERM": "xterm", "SSH_AUTH_SOCK": ""}


class Person:
    """Someone who reads questions and types answers. As a context manager, it leaves no process behind.

    said: everything that was on the screen.
    """

    def __init__(self, project: Path, home: Path, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        program = Path(sys.executable).with_name("signalbox")  # what `uv run signalbox` starts
        self._screen = tempfile.TemporaryFile("w+")  # noqa: SIM115 (as long as the session)
        self._child = pexpect.spawn(
            str(program),
            ["init", *arguments],
            cwd=str(project),
            env={**environment(home), **(env or {})},
            encoding="utf-8",
            codec_errors="replace",
            dimensions=(60, 250),
            timeout=SECONDS,
        )
        self._child.logfile_read = self._screen

    def __enter__(self) -> Person:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._child.close(force=True)

    @property
    def said(self) -> str:
        """Everything that was on the screen so far."""
        self._screen.seek(0)
        return self._screen.read()

    def question(self) -> str:
        """Wait for the next question and return its id; "" at the end of the program."""
        found = self._child.expect(
            [
                r"\n([a-z_]+)(?: \[[^\r\n]*\])?: $",
                r"\n(Write this|Deploy to \S+ now|Change them, too)\?[^\r\n]*: $",
                r"(Passphrase of \S+|The same again)[^\r\n]*: $",
                pexpect.EOF,
            ]
        )
        return "" if found == 3 else str(self._child.match.group(1)).split()[0].lower()

    def answer(self, text: str) -> None:
        """Type an answer."""
        self._child.sendline(text)

    def interrupt(self) -> None:
        """Press Ctrl-C, as late as a person would: Python misses one between a question's words and its wait."""
        time.sleep(0.5)
        self._child.sendintr()

    def before(self) -> str:
        """Return what was told between the last two questions, without colours."""
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", str(self._child.before))

    def ended(self, seconds: float = SECONDS) -> int:
        """Wait for the end and return the exit status."""
        self._child.expect(pexpect.EOF, timeout=seconds)
        self._child.wait()
        return int(self._child.exitstatus if self._child.exitstatus is not None else 128)

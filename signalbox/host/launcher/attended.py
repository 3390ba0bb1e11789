"""Claude Code with a parent that waits for its end: to say who answered, and what its own end gets wrong.

Claude Code stays in its parent's process group, so what the terminal sends (Ctrl-C, Ctrl-Z, a hang-up, a new size)
reaches it as if it had none. What a process sends to the parent alone is handed on; a stop and the end are the same for
both. The parent is a small program of its own: it has none of the lane's environment, and bears the lane's name.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ..shared import output, within
from . import stopped

PYTHON, LAUNCH = "/usr/bin/python3", str(Path(__file__).with_name("launch.py"))
BY = "SIGNALBOX_ATTENDED_BY"  # the process that waits already
ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}
HANDED_ON = {*ENDING, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGCONT}
LOOK = 1.0  # seconds between looks at which conversation it is
SETTLE = 0.05  # seconds in which a signal to a group reaches all of it
SI_USER, PR_SET_PDEATHSIG = 0, 1  # of the kernel: sent by a process (or below it), and prctl's

Variables = Mapping[str, str]


@dataclass(frozen=True)
class Run:
    """A start of a lane. ident: what the audit calls it. audit: that file; "": nobody stands in for anybody."""

    ident: str
    audit: str


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit status, or minus the signal; `told`: which signals asked it to."""

    status: int
    told: frozenset[int]


def wanted(arguments: Sequence[str], *, may_be_told: bool) -> bool:
    """Whether something may follow Claude Code's end; a session that is a unit's main process stays Claude Code itself.

    may_be_told: whether there may be something to say of a -p run, or another exit status.
    """
    if os.environ.get(BY) == str(os.getppid()):
        return False
    if is_headless(arguments):
        return may_be_told
    return not is_main_process() and sys.stdin.isatty() and sys.stdout.isatty()


def is_main_process() -> bool:
    """Whether this is what a unit of systemd has started."""
    return os.environ.get("SYSTEMD_EXEC_PID") == str(os.getpid())


def is_headless(arguments: Sequence[str]) -> bool:
    """Whether Claude Code answers once and ends, without a session at a terminal."""
    return not {"-p", "--print"}.isdisjoint(arguments)


def begin(lane: str, run: Run, program: str, arguments: Sequence[str], variables: Variables) -> NoReturn:
    """Become the parent of `program`, which is Claude Code of a lane."""
    handed = os.memfd_create("environment", 0)
    os.write(handed, json.dumps({"variables": dict(variables), "run": [run.ident, run.audit]}).encode())
    os.lseek(handed, 0, os.SEEK_SET)
    line = [f"claude-{lane}", "-IS", LAUNCH, "attended", str(handed), lane, program, *arguments]
    os.execv(PYTHON, line)  # noqa: S606 (no shell is the point)


def main(words: Sequence[str]) -> NoReturn:
    """Be that parent."""
    handed, lane, program, *arguments = words
    with open(int(handed), "rb") as file:
        given = json.loads(file.read())
    variables, run = given["variables"], Run(*given["run"])
    home = variables["CLAUDE_CONFIG_DIR"]
    output.program = f"claude-{lane}"
    last = ""

    def look(process: int) -> None:
        nonlocal last
        last = conversation_of(home, process) or last

    ended = attend(program, arguments, variables, look)
    if run.audit:
        from ..shared.audit import stood_in
        from .records import read_records

        for each in stood_in(Path(run.audit), run.ident, read_records()["lanes"]):
            _say(each)
    status = ended.status
    if is_headless(arguments) and stopped.is_undone(run.ident) and status == 0:
        _say(stopped.WORDS)
        status = output.EX_PROTOCOL
    if last and not is_headless(arguments) and within.names_in(Path(home) / "projects", f"*/{last}.jsonl"):
        _say(f"in its lane that is: claude-{lane} --resume {last}")
    end_as(status)


def attend(
    program: str, arguments: Sequence[str], variables: Variables, look: Callable[[int], object] = lambda _: None
) -> Ended:
    """Run a program as if it had taken this one's place; `look` is called now and then with its process."""
    watched = {*HANDED_ON, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    told: set[int] = set()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _become(program, arguments, variables)
    try:
        while True:
            came = signal.sigtimedwait(watched, LOOK)
            if came and came.si_signo in ENDING:
                told.add(came.si_signo)
            if came and came.si_signo == signal.SIGCONT:
                time.sleep(SETTLE)
                if _stopped(child):
                    os.kill(child, signal.SIGCONT)
            elif came and came.si_signo in HANDED_ON and (came.si_code <= SI_USER or _hung_up(came.si_signo)):
                os.kill(child, came.si_signo)
            ended, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
            if not ended:
                look(child)
            elif os.WIFSTOPPED(status):
                time.sleep(SETTLE)
                if _stopped(child):  # it alone was: with the group this one has been stopped and woken, too
                    os.kill(os.getpid(), signal.SIGSTOP)
            else:
                return Ended(os.waitstatus_to_exitcode(status), frozenset(told))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_as(status: int) -> NoReturn:
    """End as the program did that this one stood for."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # the terminal is gone
            stream.flush()
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # one is enough
        if -status not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status if status >= 0 else 128 - status)  # Python's own end would change it where a flush fails


def conversation_of(home: str, process: int) -> str:
    """Return the id of the conversation that this process holds, as Claude Code 2.1.329 writes down; "" if it has none.

    It changes with /clear and /resume, and is gone at the end.
    """
    try:
        found: Any = within.json_of(within.text_of(f"{home}/sessions/{process}.json"))
        return str(found["sessionId"]) if all(each in "0123456789abcdef-" for each in found["sessionId"]) else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _become(program: str, arguments: Sequence[str], variables: Variables) -> NoReturn:
    try:
        # Who ends the parent with KILL means the program.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.execve(program, [program, *arguments], dict(variables))  # noqa: S606 (no shell is the point)
    except OSError as error:
        _say(f"{program} cannot be started ({error.strerror}); run the deploy again")
    finally:
        os._exit(output.EX_CONFIG)


def _hung_up(number: int) -> bool:
    """Whether it is what a terminal sends at its end to the leader of its session alone."""
    return number == signal.SIGHUP and os.getpid() == os.getsid(0)


def _stopped(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def _say(text: str) -> None:
    with suppress(OSError):  # the terminal is gone
        output.say(text)

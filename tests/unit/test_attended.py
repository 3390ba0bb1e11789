"""Claude Code at a real terminal with a parent: what a shell, a terminal and a signal see is as if there was none."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from signalbox.host.shared.audit import stood_in
from tests.unit.test_launcher import Gateway, Host, serving

pytestmark = pytest.mark.slow

PATIENCE = 15.0
# Stands where claude would: writes down its conversation as Claude Code does, tells what reaches it, and ends.
CLAUDE = f"""#!{sys.executable} -IS
import fcntl, json, os, pathlib, signal, struct, sys, termios, time
home = pathlib.Path(os.environ["CLAUDE_CONFIG_DIR"])
(home / "sessions").mkdir(exist_ok=True)
mine = home / "sessions" / f"{{os.getpid()}}.json"
def told(*words):
    try:
        os.write(1, (" ".join(map(str, words)) + "\\n").encode())
    except OSError:
        pass
def holds(conversation):
    mine.write_text(json.dumps({{"sessionId": conversation}}))
    folder = home / "projects" / "-project"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{{conversation}}.jsonl").touch()
def size(*_):
    told("size", *struct.unpack("hh", fcntl.ioctl(0, termios.TIOCGWINSZ, b"\\0" * 4)))
got = []
for each in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1):
    signal.signal(each, lambda number, _: got.append(number))
signal.signal(signal.SIGWINCH, size)
signal.signal(signal.SIGCONT, lambda *_: told("woken"))
holds("0f97")
told("here", os.getpid(), os.getpgrp(), os.tcgetpgrp(0), os.getsid(0))
while True:
    time.sleep(0.02)
    while got:
        number = got.pop(0)
        told("got", signal.Signals(number).name)
        time.sleep(0.3)
        told("in all", len(got) + 1)
        mine.unlink(missing_ok=True)
        sys.exit(int(os.environ.get("STATUS", "0")))
    for line in (pathlib.Path(os.environ["SEEN"]).read_text() if os.path.exists(os.environ["SEEN"]) else "").split():
        os.unlink(os.environ["SEEN"])
        if line == "stop":
            os.kill(0, signal.SIGTSTP)
        elif line == "clear":
            holds("1a2b")
            told("cleared")
        elif line == "exit":
            mine.unlink()
            told("Resume this session with:\\nclaude --resume 0f97")
            sys.exit(int(os.environ.get("STATUS", "0")))
        elif line == "die":
            os.kill(os.getpid(), signal.SIGABRT)
"""


class Seat:
    """A terminal with a shell or a command in it, and somebody who reads and types."""

    def __init__(self, host: Host, *command: str, **variables: str) -> None:
        self.host, self.read = host, ""
        project = host.home / "project"
        project.mkdir(exist_ok=True)
        environment = {
            "HOME": str(host.home), "PATH": f"{host.home}:/usr/bin:/bin", "SEEN": str(host.home / "orders"),
            "SIGNALBOX_LANES": str(host.home / "lanes.json"), "TERM": "xterm", "PS1": "prompt> ", **variables,
        }  # fmt: skip
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.chdir(project)
            os.execve(command[0], list(command), environment)  # noqa: S606
        self.resize(30, 100)

    def shut(self) -> None:
        """Hang up."""
        with suppress(OSError):
            os.close(self.terminal)

    def close(self) -> None:
        """Hang up, and have the command end."""
        self.shut()
        for _ in range(100):
            if os.waitpid(self.process, os.WNOHANG)[0]:
                return
            time.sleep(0.1)
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def order(self, word: str) -> None:
        """Tell the one who stands for claude what to do."""
        new = self.host.home / "orders.new"
        new.write_text(word)
        new.rename(self.host.home / "orders")

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def until(self, pattern: str) -> re.Match[str]:
        """Read until it stands there, and forget what was before; AssertionError if it never does."""
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.read)):
            assert time.monotonic() < deadline, f"{pattern!r} never came: {self.read!r}"
            if select.select([self.terminal], [], [], 0.2)[0]:
                try:
                    self.read += os.read(self.terminal, 4096).decode().replace("\r\n", "\n")
                except OSError:  # nobody holds the other end
                    assert re.search(pattern, self.read), f"{pattern!r} never came: {self.read!r}"
        self.read = self.read[found.end() :]
        return found

    def here(self) -> list[int]:
        """Wait for claude; return its process, its group, the terminal's foreground group and its session."""
        return [int(each) for each in self.until(r"here (\d+) (\d+) (\d+) (\d+)\n").groups()]

    def ended(self) -> int:
        """Return how the command ended: its exit status, or minus a signal."""
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


Sit = Callable[..., Seat]


@pytest.fixture
def sit(tmp_path: Path) -> Iterator[Sit]:
    seats: list[Seat] = []
    with serving(Gateway) as server:
        host = Host(tmp_path, server)
        host.claude.write_text(CLAUDE)

        def taken(*command: str, **variables: str) -> Seat:
            seats.append(Seat(host, *(command or (str(host.home / "claude-local"),)), **variables))
            return seats[-1]

        yield taken
        for seat in seats:
            with suppress(OSError):  # its end was waited for
                seat.close()


def shell(sit: Sit) -> Seat:
    """A seat at an interactive bash in which claude-local was started."""
    seat = sit("/bin/bash", "--norc", "--noprofile", "-i")
    seat.until("prompt> ")
    seat.type("claude-local\n")
    return seat


def parent_of(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def state_of(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def test_the_line_that_works_comes_after_claude_codes_own(sit: Sit) -> None:
    seat = sit(STATUS="7")
    seat.here()
    time.sleep(1.5)
    seat.order("exit")
    seat.until(r"claude --resume 0f97\nclaude-local: in its lane that is: claude-local --resume 0f97\n")
    assert seat.ended() == 7


def test_the_line_names_the_conversation_that_is_held_last(sit: Sit) -> None:
    seat = sit()
    seat.here()
    time.sleep(1.2)
    seat.order("clear")
    seat.until("cleared")
    time.sleep(1.5)
    seat.order("exit")
    seat.until(r"claude-local --resume 1a2b\n")


def test_claude_is_the_foreground_and_the_job_is_the_lanes_command(sit: Sit) -> None:
    seat = shell(sit)
    process, group, foreground, session = seat.here()
    parent = parent_of(process)
    assert (group, foreground) == (parent, parent)  # the shell's job
    assert parent_of(parent) == session == seat.process
    assert Path(f"/proc/{group}/cmdline").read_bytes().split(b"\0")[0] == b"claude-local"  # as tmux names a window
    assert b"ANTHROPIC_AUTH_TOKEN" not in Path(f"/proc/{parent}/environ").read_bytes()
    assert b"ANTHROPIC_AUTH_TOKEN" in Path(f"/proc/{process}/environ").read_bytes()


@pytest.mark.parametrize(("key", "name"), [("\x03", "SIGINT"), ("\x1c", "SIGQUIT")], ids=["Ctrl-C", "Ctrl-backslash"])
def test_a_key_reaches_claude_once(sit: Sit, key: str, name: str) -> None:
    seat = shell(sit)
    seat.here()
    seat.type(key)
    seat.until(f"got {name}\nin all 1\n")
    seat.until("prompt> ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT])
def test_a_signal_to_the_command_reaches_claude_once(sit: Sit, number: signal.Signals) -> None:
    seat = sit(STATUS="5")
    process = seat.here()[0]
    assert parent_of(process) == seat.process
    os.kill(seat.process, number)
    seat.until(f"got {number.name}\nin all 1\n")
    assert seat.ended() == 5


def test_a_signal_that_ends_claude_ends_the_command_the_same_way(sit: Sit) -> None:
    seat = sit()
    process = seat.here()[0]
    os.kill(seat.process, signal.SIGTERM)  # claude has no handler for it
    assert seat.ended() == -signal.SIGTERM
    assert not Path(f"/proc/{process}").exists()


def test_a_crash_of_claude_is_the_commands(sit: Sit) -> None:
    seat = sit()
    seat.here()
    seat.order("die")
    assert seat.ended() == -signal.SIGABRT


def test_killing_the_command_kills_claude(sit: Sit) -> None:
    seat = shell(sit)
    process = seat.here()[0]
    os.kill(parent_of(process), signal.SIGKILL)
    seat.until("Killed")
    deadline = time.monotonic() + PATIENCE
    while Path(f"/proc/{process}").exists() and state_of(process) != "Z":
        assert time.monotonic() < deadline, "claude goes on alone"
        time.sleep(0.05)


def test_a_terminal_that_hangs_up_ends_both(sit: Sit) -> None:
    seat = sit(STATUS="3")
    process = seat.here()[0]
    os.close(seat.terminal)
    assert seat.ended() == 3  # what claude made of it
    assert not Path(f"/proc/{process}").exists()


def test_a_new_size_reaches_claude(sit: Sit) -> None:
    seat = shell(sit)
    seat.here()
    seat.resize(44, 133)
    seat.until(r"size 44 133\n")


@pytest.mark.parametrize("how", ["claude", "terminal", "claude alone"])
def test_a_stop_gives_the_shell_its_prompt_and_fg_goes_on(sit: Sit, how: str) -> None:
    seat = shell(sit)
    process = seat.here()[0]
    if how == "claude":
        seat.order("stop")  # as Claude Code does at Ctrl-Z: to its group
    elif how == "terminal":
        seat.type("\x1a")
    else:
        os.kill(process, signal.SIGSTOP)
    seat.until(r"Stopped +claude-local")
    seat.until("prompt> ")
    assert (state_of(process), state_of(parent_of(process))) == ("T", "T")
    seat.type("fg\n")
    seat.until("woken")
    assert os.tcgetpgrp(seat.terminal) == parent_of(process)
    seat.type("\x03")
    seat.until("got SIGINT\nin all 1\n")
    seat.until("prompt> ")


def test_a_command_whose_output_is_read_by_a_program_becomes_claude(sit: Sit) -> None:
    seat = sit("/bin/sh", "-c", "claude-local | cat")
    assert parent_of(seat.here()[0]) == seat.process


def test_a_units_main_process_is_claude_itself(sit: Sit) -> None:
    seat = sit("/bin/sh", "-c", "SYSTEMD_EXEC_PID=$$ exec claude-local")  # as systemd sets it
    assert seat.here()[0] == seat.process


def test_with_p_the_command_becomes_claude_where_nothing_may_be_told_of_it(sit: Sit) -> None:
    seat = sit("/bin/sh", "-c", "exec claude-cloud -p x")
    assert seat.here()[0] == seat.process


@pytest.mark.parametrize(("status", "undone", "ends"), [("0", True, 76), ("0", False, 0), ("3", True, 3)])
def test_a_run_whose_last_answer_is_none_does_not_end_well(sit: Sit, status: str, undone: bool, ends: int) -> None:
    seat = sit("/bin/sh", "-c", "sleep 1; SYSTEMD_EXEC_PID=$$ exec claude-local-private -p x", STATUS=status)
    seat.host.ask_here("local-private")
    (claude,) = seat.here()[:1]
    (run,) = re.findall(r"SIGNALBOX_RUN=([0-9a-f]{32})", Path(f"/proc/{claude}/environ").read_text())
    mark = seat.host.home / ".local/state/signalbox/undone" / run
    mark.parent.mkdir(parents=True)
    if undone:
        mark.touch()
    seat.order("exit")
    if ends == 76:
        seat.until("claude-local-private: the answer is none: ")
    assert seat.ended() == ends
    assert not mark.exists()


def test_after_p_it_is_said_who_stood_in_for_the_lanes_model(sit: Sit) -> None:
    audit = ""

    def line(run: str, **more: object) -> str:
        entry = {"time": "2026-11-18T09:00:00.000+00:00", "run": run, "status": 200, "backend": "anthropic",
                 "model": "claude-haiku-4-5", "fallback": "local", "error_class": "unreachable",
                 "cost_usd": 0.0125}  # fmt: skip
        return json.dumps(entry | more) + "\n"

    seat = sit("/bin/sh", "-c", "sleep 1; exec claude-local -p x")
    seat.host.records["audit"] = str(seat.host.home / "requests.jsonl")
    seat.host.write()
    (claude,) = seat.here()[:1]
    assert parent_of(claude) == seat.process
    environment = Path(f"/proc/{claude}/environ").read_text()
    (run,) = re.findall(r"x-signalbox-run: ([0-9a-f]{32})", environment)
    audit = line("another") + line(run) + line(run) + line(run, fallback=None, backend="lmstudio", cost_usd=0.0)
    agents = {"lane": "local", "asked": "claude-opus-4-8", "model": "claude-opus-4-8", "fallback": None}
    audit += line(run, **agents) + line(run, **agents, cost_usd=0.0)  # an agent's file names it
    (seat.host.home / "requests.jsonl").write_text(audit)
    seat.order("exit")
    seat.until(
        r"claude-local: claude-haiku-4-5 at anthropic answered 2 of 5 requests in place of local \(unreachable\): "
        r"0.0250 USD\n"
    )
    seat.until(r"claude-local: claude-opus-4-8 at anthropic answered 1 of 5 requests, asked for by name: 0.0125 USD\n")
    assert seat.ended() == 0


def test_a_run_that_asks_its_lanes_own_models_alone_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    entry = {"time": "2026-11-18T09:00:00.000+00:00", "run": "1", "status": 200, "backend": "anthropic",
             "lane": "cloud", "asked": "claude-opus-4-8", "model": "claude-opus-4-8", "cost_usd": 0.5}  # fmt: skip
    path.write_text(json.dumps(entry) + "\n")
    assert list(stood_in(path, "1", {"cloud": {"models": {"opus": "claude-opus-4-8"}}})) == []
    assert list(stood_in(path, "1", {})) == []
    assert len(list(stood_in(path, "1", {"cloud": {"models": {"main": "claude-sonnet-4-6"}}}))) == 1


def test_what_nobody_knows_the_price_of_is_not_called_free(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    entry = {"time": "2026-11-18T09:00:00.000+00:00", "run": "1", "status": 200, "backend": "router", "model": "far",
             "fallback": "local", "error_class": "unreachable"}  # fmt: skip
    for more, said in (
        ([{"cost_usd": None}], "what nobody knows the price of"),
        ([{"cost_usd": None}, {"cost_usd": 0.5}], "0.5000 USD and what nobody knows the price of"),
        ([{"cost_usd": 0.0}], "free"),
        ([{"cost_usd": 0.0, "plan": True}], "paid by the month"),
    ):
        path.write_text("".join(json.dumps(entry | each) + "\n" for each in more))
        (told,) = stood_in(path, "1", {})
        assert told.endswith(f"(unreachable): {said}")


@pytest.mark.parametrize(("typed", "allowed"), [("y\n", True), ("\n", False), ("no\n", False)])
def test_a_lane_that_asks_does_so_before_the_first_prompt(sit: Sit, typed: str, allowed: bool) -> None:
    seat = sit("/bin/sh", "-c", "sleep 1; exec claude-local")
    lane = seat.host.records["lanes"]["local"]
    lane["asks"] = True  # its own server is off: nothing listens at the settings' placeholder
    asked: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        threading.Thread(target=_hang_up, args=(deaf, asked), daemon=True).start()
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/v1/models"
        lane["servers"] = lane["main_servers"] = {"lmstudio": url}
        seat.host.write()
        _answered(seat, typed, allowed)
    assert len(asked) == 1, "its server is asked more than once"


def _hang_up(deaf: socket.socket, asked: list[Any]) -> None:
    with suppress(OSError):
        while True:
            connection, _ = deaf.accept()
            asked.append(connection)
            connection.close()


def _answered(seat: Any, typed: str, allowed: bool) -> None:
    seat.until(r"claude-haiku-4-5 at anthropic would answer, billed to .*, once somebody allows it\n")
    seat.until(r"let claude-haiku-4-5 answer in this session, billed to .*\? \[y/N\] ")
    seat.type(typed)
    (claude,) = seat.here()[:1]
    assert ("x-signalbox-billed: yes" in Path(f"/proc/{claude}/environ").read_text()) == allowed

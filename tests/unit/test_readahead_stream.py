"""Questions in a real shell: each answer is what the command alone would have printed, or there is none."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from signalbox.engine.readahead import stream
from signalbox.engine.readahead.question import Question
from signalbox.engine.readahead.stream import Stream
from signalbox.shell import sh
from signalbox.shell.answer import asked, asked_of

Start = Callable[..., Stream]


class Shell:
    """A shell of this machine in the place of an SSH channel."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            ["sh", "-s"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
        )
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    def sendall(self, data: bytes) -> None:
        self.stdin.write(data)

    def shutdown_write(self) -> None:
        self.stdin.close()

    def recv(self, size: int) -> bytes:
        # In gevent's loop, as a paramiko channel is when pyinfra has patched the process.
        from gevent.select import select

        select([self.stdout], [], [])
        return self.stdout.read(size)

    def close(self) -> None:
        # With what it started: a closed channel has no more to read either.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def ask() -> Iterator[Start]:
    started: list[Stream] = []

    def start(*commands: str) -> Stream:
        started.append(Stream(Shell(), [Question(command) for command in commands]))
        return started[-1]

    yield start
    for each in started:
        each.close()


def lines(asked: Stream, command: str, seconds: float = 10) -> list[str] | None:
    answer = asked.answer(Question(command), seconds)
    return answer.lines if answer else None


def alone(command: str) -> list[str]:
    """What pyinfra would get: it takes lines from a text buffer and cuts their line break off."""
    done = subprocess.run(["sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return [line.rstrip("\n") for line in re.findall(r"[^\n]*\n|[^\n]+", done.stdout.decode())]


SAME = {
    "nothing": "true",
    "a line": "echo one",
    "an empty line": "echo",
    "empty lines around": "printf '\\n\\na\\n\\n'",
    "no line break at the end": "printf 'a\\nb'",
    "carriage return": "printf 'a\\r\\nb\\r\\n'",
    "NUL": "printf 'a\\000b\\n'",
    "form feed and line separator": "printf 'a\\014b\\342\\200\\250c\\n'",
    "other letters": "echo 'größe 数'",
    "quotes": """echo "it's" '"' '\\' '$HOME' '`id`'""",
    "several lines": "echo a;\necho b\n",
    "here document": "cat <<X\nin\nX\n",
    "shell's own state": "echo $# $0; set -f; cd /",
    "a frame of another stream": "echo '0123456789abcdef0123456789abcdef 0 0'",
    "stdin": "cat; echo end",
    "stderr": "echo wrong >&2; echo right",
    "comment at the end": "echo a # b",
    "a variable of its own": "x=1; export y=2; echo ${z-unset}",
}


@pytest.mark.parametrize("name", SAME)
def test_an_answer_is_what_the_command_prints_alone(ask: Start, name: str) -> None:
    stream = ask("x=before; z=set; cd /tmp; set -e", SAME[name], "echo after")
    assert lines(stream, SAME[name]) == alone(SAME[name])
    assert lines(stream, "echo after") == ["after"]


ASKED = {
    "fields": sh("printf '%s\\0' 'a b' \"it's\"; printf 'x\\n\\0'"),
    "nothing": sh("true"),
    "bytes that are no text": sh("printf '\\377\\0\\n\\n'"),
    "what fails": sh("printf 'a\\0'; false"),
    "what is no shell": sh("if"),
    "more than it may": sh("head -c 5000 /dev/zero"),
    "what reads": sh("cat; printf 'end\\0'"),
}


@pytest.mark.parametrize("name", ASKED)
def test_an_answer_of_ours_is_the_same_without_its_wrapping(ask: Start, name: str) -> None:
    command = asked(ASKED[name], max_bytes=1000)
    told = lines(ask(command, "echo after"), command)
    if name == "what is no shell":
        assert told is None  # so it is asked alone, and fails
    else:
        assert told == alone(command)


def test_nothing_but_an_answer_of_ours_is_unwrapped() -> None:
    command = asked(sh("echo {}", "it's"))
    assert asked_of(command)
    for other in (f"{command}; id", f"id; {command}", command.replace("head -c", "head -n"), "echo x"):
        assert asked_of(other) is None


# What only a broken record, or a command that is none of ours, would ask; and whether the next question has an answer.
WRONG = {
    "fails": ("echo half; false", True),
    "exits": ("echo half; exit 3", True),
    "is not shell": ("if (", True),
    "is not there": ("no-such-program", True),
    "prints what is no text": ("printf '\\377\\376'", True),
    "kills the shell of all": ("kill -9 $$", False),
    "prints without end": ("yes", False),
    "prints too much": ("head -c 3000000 /dev/zero", False),
    "never ends": ("sleep 60", False),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_command_that_goes_wrong_has_no_answer(ask: Start, name: str) -> None:
    command, goes_on = WRONG[name]
    asked = ask("echo before", command, "echo after")
    assert lines(asked, "echo before") == ["before"]
    assert lines(asked, command, seconds=1) is None
    assert lines(asked, "echo after", seconds=1) == (["after"] if goes_on else None)
    assert lines(asked, "echo before", seconds=0) == ["before"]  # what was answered stays


def test_an_answer_does_not_wait_for_those_behind_it(ask: Start) -> None:
    started = time.monotonic()
    asked = ask("echo first", "sleep 5", "echo last")
    assert lines(asked, "echo first") == ["first"]
    assert time.monotonic() - started < 4
    assert not asked._reader.ready()


def test_waiting_is_bounded_and_ends_the_stream(ask: Start) -> None:
    asked = ask("sleep 60", "echo behind")
    started = time.monotonic()
    assert lines(asked, "echo behind", seconds=0.3) is None
    assert 0.2 < time.monotonic() - started < 5
    assert asked._reader.ready()


def test_finish_lets_it_end_but_not_for_ever(ask: Start) -> None:
    soon = ask("sleep 0.2", "echo end")
    soon.finish(5)
    assert lines(soon, "echo end", seconds=0) == ["end"]
    never = ask("sleep 60")
    never.finish(0.2)
    assert never._reader.ready()


def test_a_frame_that_is_out_of_order_ends_the_stream(ask: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream.secrets, "token_hex", lambda _size: "known")
    asked = ask("printf '\\nknown 7 0\\n'", "echo after")
    assert lines(asked, "printf '\\nknown 7 0\\n'") is None
    assert lines(asked, "echo after") is None


def test_a_channel_that_is_gone_has_no_answers() -> None:
    shell = Shell()
    shell.close()
    asked = Stream(shell, [Question("echo a")])
    assert lines(asked, "echo a") is None

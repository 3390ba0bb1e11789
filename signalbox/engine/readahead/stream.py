"""Many questions over one SSH channel, each answered as soon as its command has ended.

A shell on the host reads a script: a line that says where answers begin, then each question's command in a shell of
its own, as it would be run alone (nothing on stdin), then a line with a random word, the question's number and the exit
status. Lines before that are the answer. What bounds and wraps an answer of `asked` is left out, for four programs are
half of the price: both is done here.
"""

from __future__ import annotations

import re
import secrets
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import gevent
from gevent.event import Event
from paramiko import SSHException

from signalbox.engine.readahead.question import Question
from signalbox.shell.answer import Asked, asked_of

MAX_ANSWER = 1024 * 1024  # bytes; more is no fact
_CHUNK = 64 * 1024
_LONGEST_END = 64  # bytes of the line that ends an answer
_END = 1.0  # seconds that a reader may take to see that its channel is closed


class Channel(Protocol):
    """What a stream needs of paramiko's Channel once its command, a shell that reads stdin, was started."""

    def sendall(self, data: bytes) -> None: ...
    def shutdown_write(self) -> None: ...
    def recv(self, size: int) -> bytes: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Answer:
    """The lines that a command printed before it ended with exit status 0, and when (time.monotonic())."""

    lines: list[str]
    at: float


def script(questions: Mapping[Question, Asked | None], word: str) -> str:
    """Return the POSIX shell script that asks `questions` and ends each answer with `word`, number and status.

    questions: each with what is left of it without its wrapping; None: it has none.
    """
    # On success a fact's stderr is not looked at; a fact that fails is asked again, alone. A subshell with eval is what
    # `sh -c` is but for `$-` and `$$`, without the start of a program; what is no shell command ends it alone.
    # A login shell may greet before: what comes up to this line is no answer.
    return f"printf '\\n%s begin\\n' {word}\n" + "".join(
        f"( eval {shlex.quote(asked.told if asked else each.command)} ) </dev/null 2>/dev/null;"
        f" printf '\\n%s %d %d\\n' {word} {number} $?\n"
        for number, (each, asked) in enumerate(questions.items())
    )


def lines_of(output: bytes) -> list[str] | None:
    """Return the lines as pyinfra would, None where they are not UTF-8."""
    try:
        text = output.decode()
    except UnicodeDecodeError:
        return None
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


class Stream:
    """Asks at once when made; `answer` waits for one question's turn."""

    def __init__(self, channel: Channel, questions: Sequence[Question]) -> None:
        self._channel = channel
        self.questions = {each: asked_of(each.command) for each in questions}
        self._answers: dict[Question, Answer | None] = {}
        self._progress = Event()
        self._word = secrets.token_hex(16)
        self._reader = gevent.spawn(self._run)

    def answer(self, question: Question, seconds: float) -> Answer | None:
        """Return the answer, None if there is none to be had: another status, a broken stream, not in `seconds`.

        A stream that lets anyone wait for so long is closed.
        """
        deadline = time.monotonic() + seconds
        while question not in self._answers and not self._reader.ready():
            self._progress.clear()
            if not self._progress.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                self.close()
        return self._answers.get(question)

    def finish(self, seconds: float) -> None:
        """Let it come to its end, for at most so long; then close it."""
        self._reader.join(seconds)
        self.close()

    def close(self) -> None:
        """Stop listening; what was answered stays known."""
        # Closed, the channel ends the reader by itself; killed, it would leave paramiko's locks as they never are.
        self._channel.close()
        self._reader.join(_END)

    def _run(self) -> None:
        try:
            self._channel.sendall(script(self.questions, self._word).encode())
            self._channel.shutdown_write()
            if self._read():
                self._channel.recv(_CHUNK)  # the session lasts until the shell has ended
        except (OSError, EOFError, SSHException):
            pass  # the ordinary way remains
        finally:
            self._channel.close()
            self._progress.set()

    def _read(self) -> bool:
        """Take the answers as they come; return whether all came, in order and none too long."""
        end = re.compile(rb"\n%s (\d{1,4}) (\d{1,3})\n" % self._word.encode())
        buffer, looked, begin = bytearray(), 0, b"\n%s begin\n" % self._word.encode()
        while (at := buffer.find(begin, looked)) < 0:
            looked = max(0, len(buffer) - len(begin))
            data = self._channel.recv(_CHUNK)
            if not data or len(buffer) > MAX_ANSWER:
                return False
            buffer += data
        del buffer[: at + len(begin)]
        looked = 0
        for number, (question, asked) in enumerate(self.questions.items()):
            while not (found := end.search(buffer, looked)):
                # What is looked through is not looked through again: a host may send its bytes one by one.
                looked = max(0, len(buffer) - _LONGEST_END)
                data = self._channel.recv(_CHUNK)
                if not data or len(buffer) > MAX_ANSWER:
                    return False
                buffer += data
            if int(found[1]) != number:
                return False
            output, lines = bytes(buffer[: found.start()]), None
            if int(found[2]) == 0:
                lines = asked.lines(output) if asked else lines_of(output)
            self._answers[question] = None if lines is None else Answer(lines, time.monotonic())
            del buffer[: found.end()]
            looked = 0
            self._progress.set()
        return True

"""How much a host may send in answer to one command, and how long it may take: pyinfra itself reads without an end.

The one place for it: every connector's output comes through here. A fact is asked while other hosts wait, so it is
short; an operation may fetch an image over a slow line. What goes beyond is cut off, and that host fails.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

import gevent
from pyinfra.api import State, output
from pyinfra.connectors import ssh, util
from pyinfra.connectors.util import CommandOutput, OutputLine
from pyinfra.context import ctx_state

_MIB = 1024 * 1024
_CHUNK = 64 * 1024
_LINE_BYTES = 64  # of memory that a line costs beside its text: an endless number of empty lines is endless, too
_END = 1.0  # seconds that a reader may take to see that its channel is closed


@dataclass(frozen=True)
class Limit:
    """What the answer to one command may have: bytes on both streams together, seconds from its start to its end."""

    bytes: int
    seconds: float


FACT = Limit(8 * _MIB, 120)
OPERATION = Limit(64 * _MIB, 6 * 3600)

_limit: ContextVar[Limit] = ContextVar("signalbox_limit", default=FACT)
_guarded: WeakSet[State] = WeakSet()


class ExceededError(OSError):
    """A host went beyond the limit; the message is a sentence for people."""


@contextmanager
def within(limit: Limit) -> Iterator[None]:
    """Have commands in this greenlet end within `limit`."""
    token = _limit.set(limit)
    try:
        yield
    finally:
        _limit.reset(token)


def guard(state: State) -> None:
    """Have the hosts of this run bounded."""
    _guarded.add(state)


def is_guarded() -> bool:
    """Tell whether the present run is bounded: one that is not Signalbox's is left alone."""
    return ctx_state.isset() and ctx_state.get() in _guarded  # type: ignore[no-untyped-call]


class _Budget:
    """What may still come, of both streams of a command."""

    def __init__(self, limit: Limit) -> None:
        self._left, self._limit = limit.bytes, limit

    def take(self, data: bytes) -> None:
        self._left -= len(data) + _LINE_BYTES * data.count(b"\n")
        if self._left < 0:
            raise ExceededError(f"the host sent more than {self._limit.bytes // _MIB} MiB in answer to one command")


def _chunks(stream: Any, name: str) -> Callable[[], bytes]:
    """Return what reads the next bytes of an SSH channel's stream or of a local process's, b"" at its end."""
    channel = getattr(stream, "channel", None)
    if channel is None:
        return lambda: stream.readline(_CHUNK)
    receive = channel.recv if name == "stdout" else channel.recv_stderr
    return lambda: receive(_CHUNK)


def _read(name: str, stream: Any, budget: _Budget, lines: list[OutputLine], show: Callable[[str], None] | None) -> None:
    def line(data: bytearray) -> None:
        text = data.decode(errors="replace")
        lines.append(OutputLine(name, text))
        if show:
            show(text)

    chunks, begun = _chunks(stream, name), bytearray()
    while data := chunks():
        budget.take(data)
        gevent.sleep(0)  # who sends without a pause keeps nobody else from being heard
        first, *more = data.split(b"\n")
        begun += first
        for each in more:
            line(begun)
            begun = bytearray(each)
    if begun:
        line(begun)


def _output(original: Callable[..., CommandOutput]) -> Callable[..., CommandOutput]:
    def read_output_buffers(
        stdout_buffer: Any, stderr_buffer: Any, timeout: float | None, print_output: bool, print_prefix: str
    ) -> CommandOutput:
        if not is_guarded():
            return original(stdout_buffer, stderr_buffer, timeout, print_output, print_prefix)
        limit, began = _limit.get(), time.monotonic()
        seconds = min(limit.seconds, timeout or math.inf)
        budget, lines = _Budget(limit), list[OutputLine]()

        say = output.echo  # signalbox.engine.output makes what it prints safe

        def show(color: str | None) -> Callable[[str], None] | None:
            styled = (lambda text: output.format_text(text, color)) if color else str
            return (lambda text: say(f"{print_prefix}{styled(text)}", err=True)) if print_output else None

        readers = [
            gevent.spawn(_caught, _read, "stdout", stdout_buffer, budget, lines, show(None)),
            gevent.spawn(_caught, _read, "stderr", stderr_buffer, budget, lines, show("red")),
        ]
        try:
            # The first that fails ends both: nobody reads the other one any more.
            for reader in gevent.iwait(readers, timeout=seconds):
                if error := reader.get():
                    raise error
            channel = getattr(stdout_buffer, "channel", None)
            left = seconds - (time.monotonic() - began)
            ended = channel is None or channel.status_event.wait(max(left, 0))
            if not ended or not all(reader.ready() for reader in readers):
                if timeout and timeout < limit.seconds:
                    raise TimeoutError
                raise ExceededError(f"the host did not come to the end of one command within {limit.seconds:.0f} s")
        except OSError:
            _stop(stdout_buffer, stderr_buffer, readers)
            raise
        return CommandOutput(lines)

    read_output_buffers.signalbox = True  # type: ignore[attr-defined]
    return read_output_buffers


def _caught(call: Callable[..., None], *arguments: Any) -> Exception | None:
    # In a greenlet of its own an error would be printed with its traceback, and the output be taken for whole.
    try:
        call(*arguments)
    except Exception as error:
        return error if isinstance(error, OSError) else ExceededError(f"{type(error).__name__}: {error}")
    return None


def _stop(stdout: Any, stderr: Any, readers: list[Any]) -> None:
    channel = getattr(stdout, "channel", None)
    if channel is not None:
        # Closed, it ends the readers by itself; killed, they would leave paramiko's locks as they never are.
        channel.close()
        gevent.joinall(readers, timeout=_END)
    gevent.killall(readers, timeout=_END)
    if channel is None:
        for stream in (stdout, stderr):
            stream.close()  # a process that writes on has nobody to write to


def install() -> None:
    """Put it into pyinfra's connectors. Calling it again changes nothing."""
    if not getattr(util.read_output_buffers, "signalbox", False):
        util.read_output_buffers = ssh.read_output_buffers = _output(util.read_output_buffers)

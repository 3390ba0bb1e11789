"""How much of a server's answer LiteLLM gets to read: real httpx, with answers that do not end."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from tests.unit.gateway_plugins import plugins as plugins

Read = Callable[[httpx.Response], Any]


class Sent(httpx.AsyncByteStream):
    """An answer in pieces; `count` of them were read, and `closed` says whether it was let go of."""

    def __init__(self, pieces: Iterable[bytes], pause: float = 0.0) -> None:
        self._pieces, self._pause = pieces, pause
        self.count, self.closed = 0, False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            self.count += 1
            await asyncio.sleep(self._pause)
            yield piece

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
def bounds(plugins: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The bounds, in force for one test, and low."""
    for owner, name in ((httpx.AsyncClient, "send"), (httpx.Response, "aiter_raw"), (httpx.Response, "aiter_bytes"),
                        (plugins.answer_limits.ResponseHandler, "read")):  # fmt: skip
        monkeypatch.setattr(owner, name, getattr(owner, name))  # so that it is undone
    for name, low in (("WHOLE", 1 << 20), ("STREAM", 4 << 20), ("LINE", 1 << 18), ("EVENTS", 1000)):
        monkeypatch.setattr(plugins.answer_limits, name, low)
    plugins.answer_limits.bound()
    return plugins.answer_limits


def ask(sent: Sent, read: Read | None = None, status: int = 200, headers: dict[str, str] | None = None) -> Any:
    """Ask for an answer, whole or (with `read`) as a stream; return what was read."""

    async def go() -> Any:
        transport = httpx.MockTransport(lambda _: httpx.Response(status, headers=headers, stream=sent))
        async with httpx.AsyncClient(transport=transport) as client:
            if read is None:
                return (await client.get("http://server/v1")).content
            response = await client.send(client.build_request("GET", "http://server/v1"), stream=True)
            return await read(response)

    return asyncio.run(go())


async def lines(response: httpx.Response) -> list[str]:
    return [line async for line in response.aiter_lines()]


async def data(response: httpx.Response) -> bytes:
    return b"".join([piece async for piece in response.aiter_bytes()])


PIECE = b"a" * (1 << 14)


@contextmanager
def too_long(bounds: Any, sent: Sent, pieces: int) -> Iterator[None]:
    """What is asked inside ends in the error, after so many pieces."""
    with pytest.raises(bounds.TooLongError, match="the server's answer is"):
        yield
    assert sent.closed
    assert sent.count <= pieces


def test_an_answer_that_does_not_end_is_an_error(bounds: Any, capfd: pytest.CaptureFixture[str]) -> None:
    sent = Sent(itertools.repeat(PIECE))
    with too_long(bounds, sent, 65):
        ask(sent)
    said = "signalbox: an answer of http://server/v1 is longer than gateway.limits.answer_mib"
    assert capfd.readouterr().out.count(said) == 1


@pytest.mark.usefixtures("bounds")
def test_an_answer_below_the_bound_is_as_it_was_sent() -> None:
    assert ask(Sent([PIECE] * 60)) == PIECE * 60
    sent = b"".join(b'event: delta\ndata: {"n": %d}\n\n' % number for number in range(900))
    pieces = [sent[at : at + 777] for at in range(0, len(sent), 777)]
    assert ask(Sent(pieces), data) == sent
    assert ask(Sent(pieces), lines) == sent.decode().splitlines()


@pytest.mark.parametrize(
    ("piece", "bound"),
    [
        (PIECE, 17),  # a line without end
        (b"data: " + b"a" * (1 << 14) + b"\n", 257),  # an event without end: the whole stream has a bound
        (b"data: {}\n\n", 1001),
        (b"data: {}\n", 1001),
        (b"\n" * 64, 64),
        (b": wait\r\n\r\n", 1001),
        (b"event: delta\ndata: event:event:\n\n", 1001),
    ],
)
def test_a_stream_has_a_bound_in_bytes_in_a_line_and_in_events(bounds: Any, piece: bytes, bound: int) -> None:
    for read in (lines, data):
        sent = Sent(itertools.repeat(piece))
        with too_long(bounds, sent, bound):
            ask(sent, read)


def test_events_are_counted_alike_however_they_come(bounds: Any) -> None:
    sent = b'event: delta\ndata: {"n": 1}\n\ndata: {"n": 2}\r\n\r\n{"n": 3}\n' * 5
    for size in (1, 2, 5, 7, 64, len(sent)):
        reading = bounds.Reading(SimpleNamespace(request=httpx.Request("GET", "http://server")))
        for at in range(0, len(sent), size):
            reading.take_lines(sent[at : at + size])
        assert reading._events == 15, size


def test_what_is_compressed_has_a_bound_too(bounds: Any) -> None:
    gzipped = {"content-encoding": "gzip"}
    with pytest.raises(bounds.TooLongError):
        ask(Sent([gzip.compress(b"a" * (2 << 20))]), headers=gzipped)
    packer = zlib.compressobj(wbits=31)
    nothing = itertools.chain([packer.compress(b"a")], itertools.repeat(b"\0\0\0\xff\xff" * 1000))  # empty blocks
    with pytest.raises((bounds.TooLongError, httpx.DecodingError)):
        ask(Sent(nothing), headers=gzipped)


@pytest.mark.usefixtures("bounds")
def test_of_an_error_the_beginning_is_read() -> None:
    sent = Sent(itertools.repeat(PIECE))
    assert ask(sent, status=500) == PIECE * 4
    assert (sent.count, sent.closed) == (4, True)
    sent = Sent(itertools.repeat(PIECE))
    assert ask(sent, data, status=400) == PIECE * 4
    assert ask(Sent([b"no such model"]), status=404) == b"no such model"


def test_an_answer_that_trickles_has_a_bound_in_time(bounds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "SECONDS", 0.2)
    monkeypatch.setattr(bounds, "STREAM_SECONDS", 0.2)
    for read in (None, lines):
        sent = Sent(itertools.repeat(b" "), pause=0.01)
        with pytest.raises(httpx.ReadTimeout, match="takes too long"):
            ask(sent, read)
        assert 2 <= sent.count < 40


def test_an_answer_that_does_not_begin_has_a_bound_in_time(bounds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "SECONDS", 0.2)

    async def never(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        return httpx.Response(200)

    async def go(stream: bool) -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(never)) as client:
            await client.send(client.build_request("POST", "http://server/v1"), stream=stream)

    for stream in (True, False):
        with pytest.raises(httpx.ReadTimeout, match="takes too long"):
            asyncio.run(go(stream))


def test_a_flood_leaves_others_their_turn(bounds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one stream comes all at once, another task has its turn before the end."""
    clock = itertools.count()
    monkeypatch.setattr(bounds, "time", SimpleNamespace(monotonic=lambda: 0.0, thread_time=lambda: next(clock) / 1000))
    turns: list[int] = []

    async def go() -> None:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"a" * bounds.PIECE * 100

        async def other() -> None:
            while True:
                turns.append(1)
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        assert [len(piece) async for piece in bounds.in_turn(pieces())] == [bounds.PIECE] * 100
        task.cancel()

    asyncio.run(go())
    assert len(turns) > 15


def test_answers_before_the_answer_have_a_bound(bounds: Any) -> None:
    async def go() -> int:
        messages = [SimpleNamespace(code=code) for code in (100, 102, 200, *[100] * 20)]

        async def read(_: Any) -> Any:
            return messages.pop(0), None

        handler = SimpleNamespace()
        with suppress(bounds.ServerDisconnectedError):
            while messages:
                await bounds.interim(read)(handler)
        return len(messages)

    assert asyncio.run(go()) == 20 - bounds.INTERIM - 1


def test_the_audit_is_told_why(plugins: Any, bounds: Any) -> None:
    tried = plugins.request_record.Tried
    request = SimpleNamespace(tried=[tried({"id": "first/a"}, "timeout"), tried({"id": "lmstudio/local"})])
    plugins.request_record._current.set(request)
    try:
        with pytest.raises(bounds.TooLongError):
            ask(Sent(itertools.repeat(PIECE)))
    finally:
        plugins.request_record._current.set(None)
    assert [each.why for each in request.tried] == ["timeout", "oversized"]


@pytest.mark.usefixtures("bounds")
def test_a_server_that_sends_elsewhere_is_not_followed() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(307, headers={"location": "https://openrouter.ai/api/v1/chat/completions"})

    async def go() -> httpx.Response:
        # As LiteLLM makes its own clients.
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer), follow_redirects=True) as client:
            return await client.post("http://192.168.1.20:1234/v1/chat/completions", json={})

    assert asyncio.run(go()).status_code == 307
    assert asked == ["http://192.168.1.20:1234/v1/chat/completions"]

"""What the gateway asks a local server, and what it makes of answers without end: real sockets."""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalbox.host.shared import context
from signalbox.host.shared.reasons import WHY
from tests.lab.simulators import floods
from tests.unit.gateway_plugins import plugins as plugins

READING = {"secret": None, "model": "m", "models": "data", "names": ["id"], "context": "n_ctx"}
HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


def asked(pieces: Callable[[], Iterable[bytes]], ask: Callable[[str], Awaitable[Any]], pause: float = 0.0) -> Any:
    """Have a server that answers in these pieces, and return what `ask` makes of it, and the bytes that it took."""
    taken = [0]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces():
                writer.write(piece)
                await writer.drain()
                taken[0] += len(piece)
                await asyncio.sleep(pause)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has had enough
        finally:
            writer.close()

    async def go() -> Any:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            return await ask(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/models")

    return asyncio.run(go()), taken[0]


def loaded(plugins: Any) -> Callable[[str], Awaitable[Any]]:
    return lambda url: plugins.probe.loaded({**READING, "url": url})


def whole(answer: Any) -> list[bytes]:
    return [HEAD + json.dumps(answer).encode()]


def test_what_a_server_tells_is_read(plugins: Any) -> None:
    told = {"data": [{"id": "other", "n_ctx": 1}, {"id": "m", "n_ctx": 32768}]}
    assert asked(lambda: whole(told), loaded(plugins))[0] == 32768
    for odd in (True, "32768", -1, 1.5, None, [32768], {"n_ctx": 1}):
        assert asked(lambda odd=odd: whole({"data": [{"id": "m", "n_ctx": odd}]}), loaded(plugins))[0] is None


@pytest.mark.parametrize("status", [b"401 No", b"302 Found\r\nLocation: http://127.0.0.1:1/", b"500 Oh"])
def test_any_answer_is_one_and_no_other_server_is_asked(plugins: Any, status: bytes) -> None:
    answer = b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n"
    assert asked(lambda: [answer], plugins.probe.answers)[0] == int(status.split()[0])
    assert asked(lambda: [answer], loaded(plugins))[0] is None


@pytest.mark.parametrize("name", [name for name in floods.FLOODS if name not in ("bomb", *floods.ODD)])
def test_a_flood_is_read_no_further_than_the_bound(plugins: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The sockets' own buffers hold some mebibytes that nobody has read."""
    monkeypatch.setattr(plugins.probe, "PATIENCE", 0.3)
    pause = 0.05 if name.startswith("slow") else 0.0
    headless = name in ("endless headers", "endless header", "endless status", "slow headers", "endless continue")
    started = time.monotonic()
    there, _ = asked(lambda: floods.flood(name)[0], plugins.probe.answers, pause)
    assert isinstance(there, int) is not headless, name
    tokens, taken = asked(lambda: floods.flood(name)[0], loaded(plugins), pause)
    assert tokens is None
    assert taken < plugins.probe.MOST + (16 << 20)
    assert time.monotonic() - started < 20


def test_interim_answers_without_end_keep_nobody_waiting(plugins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = plugins.answer_limits.ResponseHandler
    monkeypatch.setattr(handler, "read", plugins.answer_limits.interim(handler.read))
    there, taken = asked(lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 100), plugins.probe.answers)
    assert (there, taken < 16 << 20) == ("no-http", True)


def told(plugins: Any, url: str) -> Any:
    return asyncio.run(plugins.probe.answers(url))


def test_why_a_server_does_not_answer_is_told_in_a_fixed_word(plugins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert told(plugins, f"http://127.0.0.1:{port}/") == "refused"
    assert told(plugins, f"http://nobody.invalid:{port}/") == "name"  # RFC 6761: never resolved
    assert asked(lambda: [b"SSH-2.0-OpenSSH\r\n"], plugins.probe.answers)[0] == "no-http"
    assert asked(list, plugins.probe.answers)[0] == "no-http"
    monkeypatch.setattr(plugins.probe, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert told(plugins, f"http://127.0.0.1:{silent.getsockname()[1]}/") == "slow"
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        url = f"http://127.0.0.1:{full.getsockname()[1]}/"
        with socket.create_connection(full.getsockname()), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(full.getsockname())  # the queue is full: the kernel drops who comes now
            assert told(plugins, url) == "timeout"


class Late(BaseHTTPRequestHandler):
    """Answers after half a second."""

    def do_GET(self) -> None:
        time.sleep(0.5)
        self.send_response(204)
        self.end_headers()


@pytest.mark.parametrize(("held", "asked_for"), [(0.8, 2), (0.0, 1)])
def test_who_is_held_up_himself_asks_again(
    plugins: Any, monkeypatch: pytest.MonkeyPatch, held: float, asked_for: int
) -> None:
    monkeypatch.setattr(plugins.probe, "PATIENCE", 0.3)
    looks = []
    ask = plugins.probe.asked
    monkeypatch.setattr(plugins.probe, "asked", lambda url: looks.append(url) or ask(url))

    async def held_up(url: str) -> Any:
        looking = asyncio.create_task(plugins.probe.answers(url))
        await asyncio.sleep(0.05)
        time.sleep(held)  # as an import does
        return await looking

    with ThreadingHTTPServer(("127.0.0.1", 0), Late) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        word = asyncio.run(held_up(f"http://127.0.0.1:{server.server_address[1]}/"))
        server.shutdown()
    assert (word, len(looks)) == ("slow", asked_for)


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "route"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "route"),
        (OSError("Multiple exceptions: [Errno 101] Connect call failed, [Errno 111] Connect call failed"), "refused"),
        (OSError("Multiple exceptions: [Errno 101] Connect call failed, [Errno 113] Connect call failed"), "route"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "no-http"),
        (ValueError("what else"), "no-http"),
    ],
)
def test_errors_that_cannot_be_had_here_have_their_words(plugins: Any, error: Exception, word: str) -> None:
    assert plugins.probe.why(error) == word
    assert word in WHY


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["data", "id", "n_ctx", "x"]), inner),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=JSON)
def test_no_answer_is_more_than_a_number_or_nothing(answer: Any) -> None:
    said = context.loaded(answer, READING)
    assert said is None or (type(said) is int and said > 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=st.binary(max_size=2000) | st.builds(lambda body: HEAD + body, st.binary(max_size=2000)))
def test_whatever_comes_is_an_answer_or_none(plugins: Any, answer: bytes) -> None:
    assert asked(lambda: [answer], loaded(plugins))[0] is None

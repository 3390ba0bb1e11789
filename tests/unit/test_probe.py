"""What the gateway asks a local server, and what it makes of answers without end: real sockets."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
    assert asked(lambda: [answer], plugins.probe.answers)[0] is True
    assert asked(lambda: [answer], loaded(plugins))[0] is None


@pytest.mark.parametrize("name", [name for name in floods.FLOODS if name not in ("bomb", *floods.ODD)])
def test_a_flood_is_read_no_further_than_the_bound(plugins: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The sockets' own buffers hold some mebibytes that nobody has read."""
    monkeypatch.setattr(plugins.probe, "PATIENCE", 0.3)
    pause = 0.05 if name.startswith("slow") else 0.0
    headless = name in ("endless headers", "endless header", "endless status", "slow headers", "endless continue")
    started = time.monotonic()
    there, _ = asked(lambda: floods.flood(name)[0], plugins.probe.answers, pause)
    assert there is not headless, name
    tokens, taken = asked(lambda: floods.flood(name)[0], loaded(plugins), pause)
    assert tokens is None
    assert taken < plugins.probe.MOST + (16 << 20)
    assert time.monotonic() - started < 20


def test_interim_answers_without_end_keep_nobody_waiting(plugins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = plugins.bounds.ResponseHandler
    monkeypatch.setattr(handler, "read", plugins.bounds.interim(handler.read))
    there, taken = asked(lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 100), plugins.probe.answers)
    assert (there, taken < 16 << 20) == (False, True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["data", "id", "n_ctx", "x"]), inner),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=JSON)
def test_no_answer_is_more_than_a_number_or_nothing(plugins: Any, answer: Any) -> None:
    said = plugins.context.loaded(answer, READING)
    assert said is None or (type(said) is int and said > 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=st.binary(max_size=2000) | st.builds(lambda body: HEAD + body, st.binary(max_size=2000)))
def test_whatever_comes_is_an_answer_or_none(plugins: Any, answer: bytes) -> None:
    assert asked(lambda: [answer], loaded(plugins))[0] is None

"""A request whose client goes before its answer begins is ended; any other runs to its end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from signalbox.host.gateway.disconnects import around

POST = {"type": "http", "method": "POST", "path": "/v1/messages"}
BODY = {"type": "http.request", "body": b"{}", "more_body": False}
GONE = {"type": "http.disconnect"}


class Server:
    """An application that hangs until it is let go, then asks the fallback; and the client that asks it."""

    def __init__(self, *, first_word: bool = False) -> None:
        self.first_word = first_word
        self.asking, self.gone, self.let_go = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.heard: list[Any] = []
        self.said: list[Any] = []
        self.fallback_asked = False
        self._body = [BODY]

    async def answer(self, _: Any, receive: Any, send: Any) -> None:
        self.heard.append(await receive())
        if self.first_word:
            await send({"type": "http.response.start", "status": 200})
        self.asking.set()
        await self.let_go.wait()
        self.fallback_asked = True
        await send({"type": "http.response.body", "body": b"fallback"})
        self.heard += [await receive(), await receive()]

    async def receive(self) -> Any:
        if self._body:
            return self._body.pop()
        await self.gone.wait()
        return GONE

    async def send(self, message: Any) -> None:
        self.said.append(message)
        if "body" in message:
            self.gone.set()  # uvicorn says so after an answer, too


async def left(server: Server) -> None:
    """Ask, go away while the server hangs, and have it let go only then."""
    serving = asyncio.create_task(around(server.answer)(POST, server.receive, server.send))
    await asyncio.wait_for(server.asking.wait(), 10)
    server.gone.set()
    if not server.first_word:
        await asyncio.wait_for(serving, 10)
    server.let_go.set()
    await asyncio.wait_for(serving, 10)


def test_nobody_is_asked_for_a_client_that_has_gone() -> None:
    async def scene() -> Server:
        await left(server := Server())
        return server

    server = asyncio.run(scene())
    assert not server.fallback_asked
    assert server.said == []


def test_an_answer_that_has_begun_goes_on() -> None:
    async def scene() -> Server:
        await left(server := Server(first_word=True))
        return server

    assert asyncio.run(scene()).fallback_asked


def test_a_client_that_waits_gets_its_answer() -> None:
    async def scene() -> Server:
        server = Server()
        server.let_go.set()
        await asyncio.wait_for(around(server.answer)(POST, server.receive, server.send), 10)
        return server

    server = asyncio.run(scene())
    assert [message["body"] for message in server.said] == [b"fallback"]
    assert server.heard == [BODY, GONE, GONE]  # as often as it is asked for


def test_an_error_stays_one_and_a_shutdown_ends_the_request() -> None:
    async def broken(*_: Any) -> None:
        raise ValueError("broken")

    async def shut_down() -> Server:
        server = Server()
        serving = asyncio.create_task(around(server.answer)(POST, server.receive, server.send))
        await asyncio.wait_for(server.asking.wait(), 10)
        serving.cancel()
        await asyncio.wait((serving,), timeout=10)
        server.let_go.set()
        await asyncio.sleep(0)
        return server

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(around(broken)(POST, Server().receive, Server().send))
    assert not asyncio.run(shut_down()).fallback_asked

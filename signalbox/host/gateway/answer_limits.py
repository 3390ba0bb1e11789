"""Bounds what LiteLLM reads of a server's answer, in bytes and in time, as it has no bound of its own.

All its reading comes down to httpx: `AsyncClient.send`, and `Response.aiter_raw` and `aiter_bytes`, which every other
way to read an answer is made of. An answer that is too long ends in an error like one that was cut off: before its
first word the next model is asked. Of a server's own error the beginning will do.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

import httpx
from aiohttp import ServerDisconnectedError
from aiohttp.client_proto import ResponseHandler

from .request_record import noticed

if TYPE_CHECKING:
    from aiohttp.http_parser import RawResponseMessage
    from aiohttp.streams import StreamReader

    Head = tuple[RawResponseMessage, StreamReader]
    # Of the methods that are replaced.
    Send = Callable[..., Coroutine[Any, Any, httpx.Response]]
    Read = Callable[..., AsyncIterator[bytes]]
    ReadHead = Callable[..., Coroutine[Any, Any, Head]]

WHOLE = int(os.environ.get("SIGNALBOX_ANSWER_MIB", "8")) << 20  # bytes of an answer that is one document
STREAM = int(os.environ.get("SIGNALBOX_STREAM_MIB", "64")) << 20  # of one that is a stream
EVENTS = int(os.environ.get("SIGNALBOX_STREAM_EVENTS", "110000"))  # of a stream
LINE = 4 << 20  # of a line of a stream: one event; a tool's whole input may be one
ERROR = 1 << 16  # of an error
SECONDS = float(os.environ.get("SIGNALBOX_REQUEST_SECONDS", "600"))  # for a whole answer, and until a stream begins
STREAM_SECONDS = float(os.environ.get("SIGNALBOX_STREAM_SECONDS", "3600"))
INTERIM = 8  # answers of status 1xx before the answer
PIECE = 1024  # bytes of a stream that are worked on at once
REST = 3.0  # seconds of rest for each that a stream was worked on without having to wait for the server
OWED = 0.01  # seconds of rest that are taken at once
CREDIT = 0.15  # seconds of rest that a stream is spared: a short answer that comes all at once is passed on at once
TURN = 0.003  # seconds of work after which others have their turn
WHOLE_ANSWER = "signalbox_whole"  # of a request: its answer is one document


class TooLongError(httpx.RemoteProtocolError):
    """A server's answer is longer than it may be."""


class Reading:
    """What was read of one answer so far."""

    def __init__(self, response: httpx.Response) -> None:
        self._request = response.request
        self.whole = bool(self._request.extensions.get(WHOLE_ANSWER))
        self._most = WHOLE if self.whole else STREAM
        self._until = time.monotonic() + (SECONDS if self.whole else STREAM_SECONDS)
        self._bytes = self._line = self._events = 0
        self._tail = b"\n"

    def take(self, piece: bytes) -> None:
        """Count a piece; TooLongError: it is one too many. httpx.ReadTimeout: it comes too late."""
        self._bytes += len(piece)
        if self._bytes > self._most:
            raise self._too_long(f"longer than gateway.limits.{'answer' if self.whole else 'stream'}_mib")
        if time.monotonic() > self._until:
            raise httpx.ReadTimeout("the server's answer takes too long", request=self._request)

    def take_lines(self, piece: bytes) -> None:
        """Count a piece of a stream, and its lines; errors as above."""
        self.take(piece)
        ended = piece.rfind(b"\n")
        self._line = self._line + len(piece) if ended < 0 else len(piece) - ended - 1
        self._events += lines(self._tail + piece) - lines(self._tail)
        self._tail = (self._tail + piece)[-7:]
        if self._line > LINE:
            raise self._too_long(f"one with a line of more than {LINE >> 20} MiB")
        if self._events > EVENTS:
            raise self._too_long("one with more than gateway.limits.stream_events")

    def _too_long(self, why: str) -> TooLongError:
        """Return the error, and tell why where people and the audit look: LiteLLM puts it in words of its own."""
        noticed("oversized")
        print(f"signalbox: an answer of {self._request.url.copy_with(query=None)} is {why}", flush=True)
        return TooLongError(f"the server's answer is {why}", request=self._request)


def lines(data: bytes) -> int:
    """Return how many lines end in this that are not blank, and no event's name."""
    return data.count(b"\n") - data.count(b"\n\n") - data.count(b"\n\r\n") - data.count(b"\nevent:")


def sending(send: Send) -> Send:
    """Return httpx.AsyncClient.send with a bound in time: LiteLLM's own begins anew with every byte.

    A server that sends elsewhere is not followed: who answers there, and who pays, the settings do not say.
    """

    async def bounded(
        self: httpx.AsyncClient, request: httpx.Request, *, stream: bool = False, **more: Any
    ) -> httpx.Response:
        request.extensions = {**request.extensions, WHOLE_ANSWER: not stream}
        try:
            async with asyncio.timeout(SECONDS):
                return await send(self, request, stream=stream, **{**more, "follow_redirects": False})
        except TimeoutError:
            raise httpx.ReadTimeout("the server's answer takes too long", request=request) from None

    return bounded


def raw(read: Read) -> Read:
    """Return httpx.Response.aiter_raw with bounds: what is compressed may come to nothing, and never end."""

    async def bounded(self: httpx.Response, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        reading = Reading(self)
        pieces = cast("AsyncGenerator[bytes, None]", read(self, chunk_size))
        try:
            async for piece in pieces:
                reading.take(piece)
                yield piece
        finally:
            await pieces.aclose()

    return bounded


def decoded(read: Read) -> Read:
    """Return httpx.Response.aiter_bytes with bounds."""

    async def bounded(self: httpx.Response, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        reading = Reading(self)
        pieces = cast("AsyncGenerator[bytes, None]", read(self, chunk_size))
        try:
            if self.status_code >= 400:
                async for piece in beginning(pieces):
                    yield piece
                await self.aclose()
            else:
                count = reading.take if reading.whole else reading.take_lines
                async for piece in pieces if reading.whole else in_turn(pieces):
                    count(piece)
                    yield piece
        except httpx.TransportError:
            await self.aclose()  # its reader may come to that late
            raise
        finally:
            await pieces.aclose()

    return bounded


async def beginning(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what an error begins with."""
    left = ERROR
    async for piece in pieces:
        yield piece[:left]
        left -= len(piece)
        if left <= 0:
            return


async def in_turn(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces of a stream, small; rest after those that came all at once, so that others have their turn."""
    owed, worked, since = -CREDIT, 0.0, time.monotonic()
    async for piece in pieces:
        owed = max(-CREDIT, owed - (time.monotonic() - since))
        for at in range(0, len(piece), PIECE):
            began = time.thread_time()
            yield piece[at : at + PIECE]
            took = time.thread_time() - began
            owed, worked = owed + took * REST, worked + took
            if owed > OWED:
                await asyncio.sleep(owed)
                owed = worked = 0.0
            elif worked > TURN:
                await asyncio.sleep(0)
                worked = 0.0
        since = time.monotonic()


def interim(read: ReadHead) -> ReadHead:
    """Return aiohttp's reading of a head with a bound for answers of status 1xx, which it skips without end."""

    async def bounded(self: ResponseHandler) -> Head:
        message = await read(self)
        skipped = getattr(self, "signalbox_interim", 0) + 1 if 100 <= message[0].code < 200 else 0
        self.signalbox_interim = skipped  # type: ignore[attr-defined]  # ours, kept where the connection is
        if skipped > INTERIM:
            raise ServerDisconnectedError("the server's answer does not begin")
        return message

    return bounded


def bound() -> None:
    """Have these bounds from now on."""
    httpx.AsyncClient.send = sending(httpx.AsyncClient.send)  # type: ignore[method-assign]
    httpx.Response.aiter_raw = raw(httpx.Response.aiter_raw)  # type: ignore[method-assign]
    httpx.Response.aiter_bytes = decoded(httpx.Response.aiter_bytes)  # type: ignore[method-assign]
    ResponseHandler.read = interim(ResponseHandler.read)  # type: ignore[method-assign]

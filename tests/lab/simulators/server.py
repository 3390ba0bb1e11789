"""The server core: a port, a personality, the faults and the journal. It knows HTTP and no vendor."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from aiohttp import web

from tests.lab.simulators.faults import STATUS_KINDS, Fault, Faults
from tests.lab.simulators.floods import flood
from tests.lab.simulators.journal import Journal
from tests.lab.simulators.model import SAYING, Saying
from tests.lab.simulators.protocol import Answer, Call, Personality, Refused

MAX_BODY = 64 * 1024 * 1024  # above every vendor's own limit, so that the vendor's error is the one that is seen
CUT_DELAY = 0.2  # seconds; as with a real model, what came before a cut has been read when it happens


class SimulatedServer:
    """One personality on one port; `open` and `close` as often as a test wants."""

    def __init__(self, personality: Personality, bind: str, port: int, faults: Faults, journal: Journal) -> None:
        self.personality = personality
        self.bind = bind
        self.port = port  # 0: the first `open` takes a free one and keeps it
        self._faults = faults
        self._journal = journal
        self._runner: web.AppRunner | None = None
        self._released = asyncio.Event()

    @property
    def listening(self) -> bool:
        return self._runner is not None

    async def open(self) -> None:
        """Listen. Raises OSError when the address or port cannot be had."""
        if self._runner:
            return
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{anything:.*}", self._serve)
        # a client that goes away ends its handler, so nothing hangs longer than its client
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, self.bind, self.port).start()
        except OSError:
            await runner.cleanup()
            raise
        self.port = runner.addresses[0][1]
        self._runner = runner

    async def close(self) -> None:
        """Stop listening and end every connection: from now on the kernel refuses."""
        runner, self._runner = self._runner, None
        self.release()
        if runner:
            await runner.cleanup()

    def release(self) -> None:
        """Let go of the requests that hang or stall; their connections end."""
        self._released.set()
        self._released = asyncio.Event()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        call = Call(
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
            client=request.remote,
        )
        record = self._journal.begin(self.personality.name, call, time.time())
        try:
            fault = self._faults.take(self.personality.name, call)
            record["fault"] = fault.kind if fault else None
            return await self._respond(request, call, fault, record)
        finally:
            self._journal.end(record)

    async def _respond(
        self, request: web.Request, call: Call, fault: Fault | None, record: dict[str, Any]
    ) -> web.StreamResponse:
        if fault and fault.kind == "drop":
            return _hang_up(request)
        if fault and fault.kind == "hang":
            if not await self._wait(fault):
                return _hang_up(request)
            fault = None
        if fault and fault.kind == "flood":
            return await self._flood(request, fault)
        saying = Saying(fault.text if fault and fault.kind == "garble" else None)
        SAYING.set(saying)  # of this request's own task
        answer = self._answer(call, fault)
        record["status"] = answer.status
        if saying.reply:
            record["usage"] = {"input": saying.reply.input_tokens - saying.cached, "output": saying.reply.output_tokens,
                               "cached": saying.cached, "written": saying.written}  # fmt: skip
        if fault and fault.kind in ("garble", "uncounted"):
            answer, fault = (uncounted(answer) if fault.kind == "uncounted" else answer), None
        if answer.events is not None:
            return await self._stream(request, call, answer, fault, record)
        return await self._whole(request, answer, fault, record)

    def _answer(self, call: Call, fault: Fault | None) -> Answer:
        if fault and fault.kind in STATUS_KINDS and not fault.chunks:
            return self.personality.failure(call, fault.kind, fault.retry_after)
        try:
            return self.personality.handle(call)
        except Refused as refused:
            return refused.answer

    async def _flood(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        """Send bytes past the HTTP library, until they end, the client has gone or the fault is cleared."""
        pieces, pause = flood(fault.text)
        released, loop = self._released, asyncio.get_running_loop()
        if not request.transport:
            return web.Response()
        with request.transport.get_extra_info("socket").dup() as connection:
            connection.setblocking(False)
            with suppress(OSError):
                for piece in pieces:
                    await loop.sock_sendall(connection, piece)
                    await asyncio.sleep(pause)
                    if released.is_set():
                        break
        return _hang_up(request)

    async def _wait(self, fault: Fault) -> bool:
        """Until the fault's time is over (True: go on) or it is cleared (False: end the connection)."""
        try:
            await asyncio.wait_for(self._released.wait(), fault.seconds)
        except TimeoutError:
            return True
        return False

    async def _whole(
        self, request: web.Request, answer: Answer, fault: Fault | None, record: dict[str, Any]
    ) -> web.StreamResponse:
        plain = isinstance(answer.body, str)
        body = answer.body.encode() if plain else json.dumps(answer.body).encode()
        response = web.StreamResponse(status=answer.status, headers=dict(answer.headers))
        response.content_type = "text/plain" if plain else "application/json"
        response.content_length = len(body)
        if request.method == "HEAD":  # a body would be read as the beginning of the connection's next answer
            body = b""
        await response.prepare(request)
        half = len(body) // 2 if fault and fault.kind in ("cut", "stall") else 0
        if fault and half:
            await response.write(body[:half])
            if fault.kind == "cut" or not await self._wait(fault):
                return _hang_up(request, response)
        await response.write(body[half:])
        await response.write_eof()
        record["complete"] = True
        return response

    async def _stream(
        self, request: web.Request, call: Call, answer: Answer, fault: Fault | None, record: dict[str, Any]
    ) -> web.StreamResponse:
        events = list(answer.events or ())
        at = min(fault.chunks, len(events) - 1) if fault else None  # never after the last event
        response = web.StreamResponse(status=answer.status, headers=dict(answer.headers))
        response.content_type = answer.content_type
        response.headers["Cache-Control"] = "no-cache"
        await response.prepare(request)
        for number, event in enumerate(events):
            record["chunks"] = number
            if fault and number == at:
                if fault.kind in STATUS_KINDS:
                    await response.write(self.personality.stream_failure(call, fault.kind))
                    await response.write_eof()
                    return response
                if fault.kind == "cut":
                    await asyncio.sleep(CUT_DELAY)
                if fault.kind == "cut" or not await self._wait(fault):
                    return _hang_up(request, response)
            await response.write(event)
        record["chunks"] = len(events)
        await response.write_eof()
        record["complete"] = True
        return response


def uncounted(answer: Answer) -> Answer:
    """Return the answer without its usage, as some servers and proxies leave it out."""
    if answer.events is None:
        body = {name: value for name, value in dict(answer.body).items() if name != "usage"}
        return replace(answer, body=body)

    def events() -> Iterator[bytes]:
        for event in answer.events or ():
            head, mark, data = event.partition(b"data: ")
            try:
                value = json.loads(data)
            except ValueError:
                yield event
                continue
            told = value.pop("usage", None) or value.get("message", {}).pop("usage", None)
            if not (told and value.get("choices") == []):  # OpenAI's last chunk is nothing but usage
                yield head + mark + json.dumps(value).encode() + b"\n\n"

    return replace(answer, events=events())


def _hang_up(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    """End the connection here and now; what was written before still arrives."""
    if request.transport:
        request.transport.close()
    return response or web.Response()

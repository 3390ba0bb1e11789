"""Passes a request on to the container that is asked now, and its answer back. Python's standard library alone.

One request a connection: the relay says `Connection: close` to LiteLLM, which says it to the client. A connection to
the container is opened before it is needed: to open one takes about as long as all else that the relay does.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Callable
from typing import cast

from .container import RELAY, Container, say

HEAD = 1 << 18  # bytes of a request's head at most
AT_ONCE = 1 << 20  # bytes on their way in each direction: a long prompt in one piece, not in many
OF_CONNECTION = re.compile(rb"\r\n(?:connection|keep-alive):[^\r\n]*", re.IGNORECASE)


class Client(asyncio.Protocol):
    """A client's connection. asked: gives the container that is asked now."""

    transport: asyncio.Transport  # from connection_made on

    def __init__(self, asked: Callable[[], Container]) -> None:
        self._asked = asked
        self._head = b""
        self._asking: asyncio.Task[None] | None = None
        self._behind: Behind | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = roomy(transport)

    def data_received(self, data: bytes) -> None:
        if self._behind:
            self._behind.transport.write(data)
            return
        self._head += data
        if self._asking:
            return  # it goes along with the head
        if b"\r\n\r\n" in self._head:
            self._asking = asyncio.get_running_loop().create_task(self._ask(self._asked()))
        elif len(self._head) > HEAD:
            self.transport.close()

    async def _ask(self, container: Container) -> None:
        self.transport.pause_reading()
        container.requests += 1
        try:
            behind = container.spare.pop() if container.spare else await opened(container)
        except OSError as error:
            container.requests -= 1
            say(f"{container.name} is not reached: {error}")
            self.transport.close()
            return
        behind.client = self
        head, _, rest = self._head.partition(b"\r\n\r\n")
        ours = f"\r\nConnection: close\r\n{RELAY}: {container.relay}\r\n\r\n"
        behind.transport.write(OF_CONNECTION.sub(b"", head) + ours.encode() + rest)
        self._behind, self._head = behind, b""
        if self.transport.is_closing():
            behind.transport.close()
        else:
            self.transport.resume_reading()
        if not container.spare:
            with contextlib.suppress(OSError):
                container.spare.append(await opened(container))

    def eof_received(self) -> bool:
        """Pass the end on; the answer may still come."""
        if self._behind and self._behind.transport.can_write_eof():
            self._behind.transport.write_eof()
        return bool(self._asking)

    def pause_writing(self) -> None:
        if self._behind:
            self._behind.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._behind:
            self._behind.transport.resume_reading()

    def connection_lost(self, _: Exception | None) -> None:
        if self._behind:
            self._behind.transport.close()


class Behind(asyncio.Protocol):
    """A connection to the container. client: whose request it is for; None: it waits for one."""

    transport: asyncio.Transport  # from connection_made on

    def __init__(self, container: Container) -> None:
        self._container = container
        self.client: Client | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = roomy(transport)

    def data_received(self, data: bytes) -> None:
        if self.client:
            self.client.transport.write(data)

    def pause_writing(self) -> None:
        if self.client:
            self.client.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.client:
            self.client.transport.resume_reading()

    def connection_lost(self, _: Exception | None) -> None:
        if self.client:
            self._container.requests -= 1
            self.client.transport.close()
        elif self in self._container.spare:
            self._container.spare.remove(self)


def roomy(connection: asyncio.BaseTransport) -> asyncio.Transport:
    """Return the connection with room for so much: each wait for room is two programs' turn on a busy machine."""
    transport = cast("asyncio.Transport", connection)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, option, AT_ONCE)
    transport.set_write_buffer_limits(AT_ONCE)
    return transport


async def opened(container: Container) -> Behind:
    """Return a connection to the container; OSError: there is none."""
    _, behind = await asyncio.get_running_loop().create_connection(
        lambda: Behind(container), "127.0.0.1", container.port
    )
    return behind

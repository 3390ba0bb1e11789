"""A TCP proxy on the loopback that adds round-trip time, and counts bytes and round trips."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass
from typing import Any


@dataclass
class Counts:
    """What has passed. bytes: both ways. turns: how often the client spoke after the server, so round trips."""

    connections: int = 0
    bytes: int = 0
    turns: int = 0


class Proxy:
    """Passes connections on to `target` (host, port); each direction is delayed by half of `seconds`."""

    def __init__(self, target: tuple[str, int], seconds: float = 0.0) -> None:
        self._target, self._delay = target, seconds / 2
        self.counts = Counts()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop
        ).result()
        self.port: int = server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts.connections += 1
        to_reader, to_writer = await asyncio.open_connection(*self._target)
        heard = [True]  # the server has spoken since the client last did

        async def passed(source: asyncio.StreamReader, sink: asyncio.StreamWriter, from_client: bool) -> None:
            queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
            sending = asyncio.create_task(_send(queue, sink))
            try:
                while data := await source.read(65536):
                    self.counts.bytes += len(data)
                    if from_client and heard[0]:
                        self.counts.turns += 1
                    heard[0] = not from_client
                    queue.put_nowait((self._loop.time() + self._delay, data))
            except OSError:
                pass
            queue.put_nowait((self._loop.time() + self._delay, b""))
            await sending

        await asyncio.gather(passed(reader, to_writer, True), passed(to_reader, writer, False))


async def _send(queue: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter) -> None:
    loop: Any = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        while True:
            due, data = await queue.get()
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            if not data:
                break
            sink.write(data)
            await sink.drain()
    sink.close()

"""A model server in vLLM's words that answers at once, without reading the prompt: `quick_server.py ADDRESS MODEL`."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

WORDS = 20  # of an answer
CONTEXT = 131072


def event(choices: list[dict[str, Any]], **more: Any) -> bytes:
    """Return one event of a stream, as a chunk of HTTP."""
    told = {"id": "one", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": choices, **more}
    return chunk(f"data: {json.dumps(told)}\n\n".encode())


def chunk(data: bytes) -> bytes:
    """Return a chunk of HTTP/1.1."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def answer() -> bytes:
    """Return the bytes of a streamed answer."""
    deltas = [{"role": "assistant", "content": ""}]
    deltas += [{"content": f"word{number} "} for number in range(WORDS)]
    events = [event([{"index": 0, "delta": each, "finish_reason": None}]) for each in deltas]
    events.append(event([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    events.append(event([], usage={"prompt_tokens": 100, "completion_tokens": WORDS, "total_tokens": 100 + WORDS}))
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(events) + chunk(b"data: [DONE]\n\n") + chunk(b"")


def models() -> bytes:
    """Return the bytes of its list of models."""
    body = json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model", "max_model_len": CONTEXT}]}).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request of a connection."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
            length = next((int(value) for name, _, value in lines if name == b"content-length"), 0)
            await reader.readexactly(length)
            writer.write(LIST if head.startswith(b"GET") else ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, OSError):
        pass
    finally:
        writer.close()


async def main(address: str) -> None:
    """Listen on any free port, and print the address."""
    server = await asyncio.start_server(serve, address, 0, limit=1 << 20)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"http://{host}:{port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    MODEL = sys.argv[2]
    ANSWER, LIST = answer(), models()
    asyncio.run(main(sys.argv[1]))

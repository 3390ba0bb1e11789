"""Answers that do not end, or are too large, too deep or too slow: what a hostile or broken model server sends.

Each is the raw bytes of an answer, head and all, so that what no HTTP library would send can be sent too.
"""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Iterator
from typing import Any

PIECE = 1 << 16  # bytes that are sent at once
DEPTH = 200_000  # of nesting: a parser that recurses has given up long before
SLOW = 0.5  # seconds between the pieces of an answer that trickles

Pieces = Iterator[bytes]


def flood(name: str) -> tuple[Pieces, float]:
    """Return the pieces of an answer by its name in FLOODS, and the seconds between two of them."""
    return FLOODS[name](), SLOW if name.startswith("slow") else 0.0


def _head(kind: str = "application/json", status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}Connection: close\r\n\r\n".encode()


def _forever(head: bytes, piece: bytes) -> Pieces:
    return itertools.chain([head], itertools.repeat(piece * max(1, PIECE // len(piece))))


def _chunk(text: str = "word ", **more: Any) -> bytes:
    last = "usage" in more
    delta = {} if last else {"role": "assistant", "content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": "stop" if last else None}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return json.dumps(chunk | more).encode()


def _event(text: str = "word ") -> bytes:
    return b"data: " + _chunk(text)


def _message(content: bytes) -> bytes:
    return (
        b'{"id": "c", "object": "chat.completion", "created": 1, "model": "m", '
        b'"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ' + content
    )


def _deep(head: bytes, before: bytes = b"", after: bytes = b"") -> Pieces:
    yield head
    yield before + b"[" * DEPTH + b"]" * DEPTH + after


def _trickle(head: bytes) -> Pieces:
    return itertools.chain([head], itertools.repeat(b" "))


def _bomb() -> Pieces:
    """What is a thousand times as long once it is decompressed."""
    packer = zlib.compressobj(wbits=31)
    yield _head(more="Content-Encoding: gzip\r\n")
    yield packer.compress(_message(b'"')) + packer.flush(zlib.Z_FULL_FLUSH)
    part = packer.compress(b"a" * (1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)
    yield from itertools.repeat(part)


STREAM = "text/event-stream"
USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
WORDS = "Hello from a server with habits."


def _said(*data: bytes, before: bytes = b"data: ", after: bytes = b"\n\n", usage: Any = USAGE) -> Pieces:
    """Yield a stream that ends as it should."""
    yield _head(STREAM)
    for each in (*(data or (_chunk(WORDS),)), _chunk(usage=usage), b"[DONE]"):
        yield before + each + after


def _long() -> Pieces:
    """Yield what is no flood: an answer of 100000 tokens."""
    return _said(*(_chunk(f"{number} ") for number in range(100_000)))


# An answer that is odd, and whole: what servers and gateways are reported to send, and what others died of.
ODD = {
    "counts of null": lambda: _said(usage=dict.fromkeys(USAGE)),  # livekit/agents#6596, BerriAI/litellm#11920
    "counts as text": lambda: _said(usage={name: str(count) for name, count in USAGE.items()}),
    "counts left out": lambda: _said(usage={}),  # strands-agents/harness-sdk#3341
    "no blank lines": lambda: _said(after=b"\n"),  # anomalyco/opencode#27365, ggml-org/llama.cpp#14268
    "no space": lambda: _said(before=b"data:"),  # dataelement/Clawith#106, sgl-project/genai-bench#159
    "an event's name apart": lambda: _said(before=b"event: delta\n\ndata: "),  # earendil-works/pi#8430
    "carriage returns": lambda: _said(after=b"\r\n\r\n"),
    "a long line": lambda: _said(_chunk(WORDS + "a" * 600_000)),  # microsoft/Agents-for-python#507
    "long thoughts": lambda: _said(_chunk(WORDS, reasoning="a" * 200_000)),  # open-webui/open-webui#24928
    "half a character": lambda: _said(_chunk(WORDS + "\ud83d")),  # BerriAI/litellm#24382
    "nested twice": lambda: _said(_chunk(WORDS, extra=json.loads("[" * 900 + "]" * 900))),  # kirodotdev/KiroCrew#8218
    "a long header": lambda: iter([_head(STREAM, more=f"X-Long: {'a' * 9000}\r\n")]),  # aio-libs/aiohttp#3862
    "a null for each": lambda: _said(b"null", _chunk(WORDS)),  # Continuum-AI-Corp/OrcaRouter-Lite#102
    "100000 tokens": _long,
}
FLOODS = {
    **ODD,
    # an answer that is one document
    "endless": lambda: _forever(_head() + _message(b'"'), b"a"),
    "endless lists": lambda: _forever(_head() + b'{"models": [[]', b", []"),
    "deep": lambda: _deep(_head(), _message(b'"hello", "extra": '), b"}}]}"),
    "bomb": _bomb,
    "slow": lambda: _trickle(_head()),
    # an error
    "endless error": lambda: _forever(_head(status="500 Internal Server Error"), b"error "),
    "endless refusal": lambda: _forever(_head(status="400 Bad Request") + b'{"error": "', b"exceeded your "),
    # a stream
    "endless line": lambda: _forever(_head(STREAM) + _event() + b"\n\ndata: ", b"a"),
    "endless event": lambda: _forever(_head(STREAM), _event() + b"\n"),
    "endless events": lambda: _forever(_head(STREAM), _event("one ") + b"\n\n" + _event("two ") + b"\n\n"),
    "endless bare events": lambda: _forever(_head(STREAM), b"data: {}\n\n"),
    "endless empty events": lambda: _forever(_head(STREAM), _event("") + b"\n\n"),
    "endless spaces": lambda: _forever(_head(STREAM), _event(" ") + b"\n\n"),
    "endless comments": lambda: _forever(_head(STREAM), b": wait\n\n"),
    "endless blank lines": lambda: _forever(_head(STREAM), b"\n"),
    "deep event": lambda: _deep(_head(STREAM) + _event() + b"\n\n", b"data: ", b"\n\n"),
    "slow stream": lambda: _trickle(_head(STREAM) + _event() + b"\n\ndata: "),
    # before an answer
    "endless headers": lambda: _forever(b"HTTP/1.1 200 OK\r\n", b"X-More: more\r\n"),
    "endless header": lambda: _forever(b"HTTP/1.1 200 OK\r\nX-Long: ", b"a"),
    "endless status": lambda: _forever(b"HTTP/1.1 200 ", b"a"),
    "endless continue": lambda: _forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "slow headers": lambda: _trickle(b"HTTP/1.1 200 OK\r\nX-Slow: "),
}

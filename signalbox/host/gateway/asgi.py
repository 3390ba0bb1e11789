"""ASGI (https://asgi.readthedocs.io/en/latest/specs/www.html): what LiteLLM's web application and all around it are."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]
Header = tuple[bytes, bytes]


def headers(message: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers of a scope or of an answer's start, names in lower case."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message["headers"]}


async def respond(send: Send, status: int, body: object, more: Iterable[Header] = ()) -> None:
    """Answer with a JSON document. more: headers beside its type and length."""
    document = json.dumps(body).encode()
    start = [(b"content-type", b"application/json"), (b"content-length", str(len(document)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": document})

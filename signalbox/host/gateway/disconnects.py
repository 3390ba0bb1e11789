"""Ends a request whose client has gone before its answer began: what nobody waits for is asked of no other model.

LiteLLM alone goes on with it: once the server that hangs lets go, the fallback is asked, and bills. A client that goes
after the first word is LiteLLM's own business, which sees that nobody reads.
"""

from __future__ import annotations

import asyncio

from .asgi import Application, Message, Receive, Scope, Send


def around(application: Application) -> Application:
    """Return the web application with a look at its clients around it."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        heard: asyncio.Queue[Message] = asyncio.Queue()
        begun = False

        async def listen() -> None:
            """Read what the client sends, to its end: a gone client is seen by reading alone."""
            message: Message = {"type": ""}
            while message["type"] != "http.disconnect":
                message = await receive()
                heard.put_nowait(message)

        async def hear() -> Message:
            message = await heard.get()
            if message["type"] == "http.disconnect":
                heard.put_nowait(message)  # for whoever asks again
            return message

        async def say(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        listening = asyncio.create_task(listen())
        answering = asyncio.create_task(application(scope, hear, say))
        try:
            await asyncio.wait((listening, answering), return_when=asyncio.FIRST_COMPLETED)
            if not begun:
                answering.cancel()
            await asyncio.wait((answering,))
            if not answering.cancelled():
                answering.result()
        finally:
            listening.cancel()
            answering.cancel()

    return serve

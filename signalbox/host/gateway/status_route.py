"""Tells without a key, at /signalbox/models, which deployments there are, and with how much context each is loaded;

and at /signalbox/servers whether each server on one's own network answers: from here, which is not from the host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .asgi import Application, Receive, Scope, Send, respond


def around(application: Application, told: Mapping[str, Callable[[], object]]) -> Application:
    """Return the web application with these paths. told: by path, what gives that which is told as JSON."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in told:
            await application(scope, receive, send)
            return
        await respond(send, 200, told[scope["path"]]())

    return serve

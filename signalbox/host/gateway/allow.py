"""In lanes with fallbacks = "ask": which sessions a person lets be billed in another model's place.

The word comes from the launcher (a header, for as long as that Claude Code runs) or from `claude-switch allow SESSION`,
which posts the session's id to /signalbox/allow with the gateway's key. It lasts as long as the session.
"""

from __future__ import annotations

import hmac
import os

from . import audit_file
from .asgi import Application, Receive, Scope, Send, headers, respond
from .json_document import Document, text
from .request_record import Request, word

PATH = "/signalbox/allow"
HEADER = "x-signalbox-billed"
FILE = "allowed"  # beside the audit: a session's id a line
MOST = 1700  # sessions, the last of which are kept: whoever has the key may name as many as there are


def allowed(request: Request) -> bool:
    """Return whether this request's session may be billed in another model's place."""
    session = request.headers.get("x-claude-code-session-id", "")
    return request.headers.get(HEADER) == "yes" or (word(session) is not None and session in _sessions())


def _sessions() -> list[str]:
    try:
        with open(os.path.join(audit_file.DIRECTORY, FILE), "rb") as file:
            return file.read(MOST << 8).decode("ascii", "replace").split()
    except OSError:
        return []


def around(application: Application) -> Application:
    """Return the web application with this path."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await application(scope, receive, send)
            return
        body = Document()
        more = True
        while more:
            message = await receive()
            body.take(message.get("body", b""))
            more = message.get("more_body", False)
        session = word(text(body.value(), "session"))
        given, key = headers(scope).get("authorization", ""), f"Bearer {os.environ['LITELLM_MASTER_KEY']}"
        status = 400 if not session else 200 if hmac.compare_digest(given.encode(), key.encode()) else 403
        if status == 200:
            others = [each for each in _sessions() if each != session]
            audit_file.put(FILE, "".join(f"{each}\n" for each in [*others, session][-MOST:]))
        await respond(send, status, {})

    return serve

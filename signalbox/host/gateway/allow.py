"""In lanes with fallbacks = "ask": which sessions a person lets be billed in another model's place.

The word comes from the launcher (a header, for as long as that Claude Code runs) or from `claude-switch allow SESSION`,
which posts the session's id to /signalbox/allow with the gateway's key. It lasts as long as the session.
"""

import hmac
import os

from . import audit
from .lines import Document, text

PATH = "/signalbox/allow"
HEADER = "x-signalbox-billed"
FILE = "allowed"  # beside the audit: a session's id a line
MOST = 1700  # sessions, the last of which are kept: whoever has the key may name as many as there are


def allowed(request):
    """Return whether this request's session may be billed in another model's place."""
    session = request.headers.get("x-claude-code-session-id", "")
    return request.headers.get(HEADER) == "yes" or (audit.word(session) is not None and session in _sessions())


def _sessions():
    try:
        with open(os.path.join(audit.DIRECTORY, FILE), "rb") as file:
            return file.read(MOST << 8).decode("ascii", "replace").split()
    except OSError:
        return []


def around(application):
    """Return the web application with this path."""

    async def serve(scope, receive, send):
        if scope["type"] != "http" or scope["path"] != PATH:
            await application(scope, receive, send)
            return
        body = Document()
        more = True
        while more:
            message = await receive()
            body.take(message.get("body", b""))
            more = message.get("more_body", False)
        session = audit.word(text(body.value(), "session"))
        given, key = audit.headers(scope).get("authorization", ""), f"Bearer {os.environ['LITELLM_MASTER_KEY']}"
        status = 400 if not session else 200 if hmac.compare_digest(given.encode(), key.encode()) else 403
        if status == 200:
            others = [each for each in _sessions() if each != session]
            audit.put(FILE, "".join(f"{each}\n" for each in [*others, session][-MOST:]))
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    return serve

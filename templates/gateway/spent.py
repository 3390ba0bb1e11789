"""Puts words to a used-up quota that nobody steps in for: what it is, and the way on.

LiteLLM hands the cloud's words on in its own, and Claude Code takes some of these answers for a passing one and asks
again for minutes. The audit keeps the status that the cloud answered.
"""

import json
import re

import audit
from lines import Document, part, text

SAID = 300  # characters of the cloud's own words
WORDS = (
    "the quota or the credit of {who} is used up, and no other model follows in this lane. Wait, or go on in another: "
    "leave the session (/exit), then claude-switch continue LANE; claude-switch list names the lanes"
)


def around(application):
    """Return the web application (ASGI) with these words in place of LiteLLM's."""

    async def serve(scope, receive, send):
        if scope["type"] != "http" or not scope["path"].endswith("/messages"):
            await application(scope, receive, send)
            return
        who, said = None, None  # said: what was answered, once it is to be answered otherwise

        async def say(message):
            nonlocal who, said
            if message["type"] == "http.response.start" and message["status"] >= 400:
                who = spender()
                said = Document() if who else None
            if said is None:
                await send(message)
            elif message["type"] == "http.response.body":
                said.take(message.get("body", b""))
                if not message.get("more_body"):
                    await answer(send, who, text(part(said.value(), "error"), "message"))

        await application(scope, receive, say)

    return serve


def spender():
    """Return whose quota is used up, where that is why the last that was asked failed; None: it is not."""
    request = audit.current()
    info, why = request.tried[-1] if request and request.tried else ({}, None)
    return info.get("id") if why == "quota" else None


async def answer(send, who, said):
    """Answer with our words, and with some of those that there were: they may tell until when."""
    # At these two words Claude Code 2.1.329 would say no more than "Credit balance is too low".
    said = re.sub("credit balance", "credit", said[:SAID], flags=re.IGNORECASE)
    message = WORDS.format(who=who) + (f" (it said: {said})" if said else "")
    body = json.dumps({"type": "error", "error": {"type": "invalid_request_error", "message": message}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    # 400: at 429 Claude Code would ask ten times more.
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": body})

"""Puts words to a used-up quota or a limit that nobody steps in for: what it is, and the way on.

LiteLLM hands the cloud's words on in its own, and Claude Code takes a used-up quota for a passing one at times and asks
again for minutes. The audit keeps the status that the cloud answered.
"""

import json
import re

import audit
from lines import Document, part, text

SAID = 300  # characters of the cloud's own words
WAY = "leave the session (/exit), then claude-switch continue LANE; claude-switch list names the lanes"
# By the audit's reason: the status (None: it stays, and Claude Code asks again by itself), the error's type, the words.
TOLD = {
    # 400: at 429 Claude Code would ask ten times more.
    "quota": (400, "invalid_request_error", "the quota or the credit of {} is used up, and no other model follows in "
              f"this lane. Wait, or go on in another: {WAY}"),
    "rate_limit": (None, "rate_limit_error", "{} is at its limit for now, and is asked again by itself. To go on in "
                   f"another lane: {WAY}"),
}  # fmt: skip


def around(application):
    """Return the web application (ASGI) with these words in place of LiteLLM's."""

    async def serve(scope, receive, send):
        if scope["type"] != "http" or not scope["path"].endswith("/messages"):
            await application(scope, receive, send)
            return
        spent, start, said = None, {}, None  # said: what was answered, once it is to be answered otherwise

        async def say(message):
            nonlocal spent, start, said
            if message["type"] == "http.response.start" and message["status"] >= 400:
                spent, start = spender(), message
                said = Document() if spent else None
            if said is None:
                await send(message)
            elif message["type"] == "http.response.body":
                said.take(message.get("body", b""))
                if not message.get("more_body"):
                    await answer(send, start, spent, text(part(said.value(), "error"), "message"))

        await application(scope, receive, say)

    return serve


def spender():
    """Return who is used up, and for which of these reasons, where that is why the last that was asked failed."""
    request = audit.current()
    info, why = request.tried[-1] if request and request.tried else ({}, None)
    return (info.get("id"), why) if why in TOLD else None


async def answer(send, start, spent, said):
    """Answer with our words, and with some of those that there were: they may tell until when."""
    who, why = spent
    status, kind, words = TOLD[why]
    # At these two words Claude Code 2.1.329 would say no more than "Credit balance is too low".
    said = re.sub("credit balance", "credit", said[:SAID], flags=re.IGNORECASE)
    message = words.format(who) + (f" (it said: {said})" if said else "")
    body = json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [each for each in start["headers"] if each[0].lower() == b"retry-after"]
    await send({"type": "http.response.start", "status": status or start["status"], "headers": headers})
    await send({"type": "http.response.body", "body": body})

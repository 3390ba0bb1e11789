"""Puts words to an answer that money or a limit stands before: a quota, a budget, or a lane that asks before it bills.

LiteLLM hands the cloud's words on in its own, and Claude Code takes some of these answers for a passing one and asks
again for minutes. The audit keeps the status that there was.
"""

import json
import re
from typing import NamedTuple

import audit
from lines import Document, part, text

SAID = 300  # characters of the cloud's own words
ELSEWHERE = "leave the session (/exit), then claude-switch continue LANE; claude-switch list names the lanes"
WORDS = (
    "the quota or the credit of {who} is used up, and no other model follows in this lane. Wait, or go on in another: "
    + ELSEWHERE
)
LIMIT = "{who} is at its limit for now, and is asked again by itself. To go on in another lane: " + ELSEWHERE
ASK = (
    '{failed}, and this lane asks before anything else is billed (fallbacks = "ask"). {model} would answer: to let it, '
    "for this session, type ! claude-switch allow {session} and ask again. Or go on in another lane: " + ELSEWHERE
)
BUDGET = (
    "{failed}the budget of {usd:g} USD a {per} {of} is used up ({spent:.2f} USD since {since} UTC), so {model} is not "
    "asked. It begins anew with the next {per}. Lanes whose models bill nobody go on: " + ELSEWHERE
)
UNPRICED = (
    "{failed}nobody knows what {model} costs, and there is a budget {of}, so it is not asked. Set its price in the "
    "settings (price, in USD a million tokens), and deploy. Or go on in another lane: " + ELSEWHERE
)


class Told(NamedTuple):
    """What is answered. quotes: with the cloud's own words, which may tell until when. passes: by itself."""

    words: str
    quotes: bool = False
    passes: bool = False


def around(application):
    """Return the web application (ASGI) with these words in place of LiteLLM's."""

    async def serve(scope, receive, send):
        if scope["type"] != "http" or not scope["path"].endswith("/messages"):
            await application(scope, receive, send)
            return
        told, start, said = None, {}, None  # said: what was answered, once it is to be answered otherwise

        async def say(message):
            nonlocal told, start, said
            if message["type"] == "http.response.start" and message["status"] >= 400:
                told, start = stopped() or used_up(), message
                said = Document() if told else None
            if said is None:
                await send(message)
            elif message["type"] == "http.response.body":
                said.take(message.get("body", b""))
                if not message.get("more_body"):
                    await answer(send, start, told, text(part(said.value(), "error"), "message"))

        await application(scope, receive, say)

    return serve


def used_up():
    """Return what to say where a quota or a limit is why the last that was asked failed; None: it is not."""
    request = audit.current()
    info, why = request.tried[-1] if request and request.tried else ({}, None)
    who = info.get("id")
    if why == "quota":
        return Told(WORDS.format(who=who), quotes=True)
    return Told(LIMIT.format(who=who), quotes=True, passes=True) if why == "rate_limit" else None


def stopped():
    """Return what to say where a model was not asked because of what it bills; None: that is not why."""
    request = audit.current()
    if not request or not request.stopped:
        return None
    model, why = request.stopped
    failed = [f"{info['id']} did not answer ({told})" for info, told in request.tried if told not in (None, "budget")]
    first = "; ".join(dict.fromkeys(failed))
    if why == "ask":
        session = audit.word(request.headers.get("x-claude-code-session-id")) or "SESSION"
        return Told(ASK.format(failed=first or "its own model did not answer", model=model, session=session))
    of = {"all": "for this host", "lane": f"of lane {why['name']}", "cloud": f"of {why['name']}"}[why["of"]]
    told = {**why, "of": of, "model": model, "failed": f"{first}, and " if first else "", "since": why["since"][:16]}
    return Told((UNPRICED if why.get("unpriced") else BUDGET).format(**told))


async def answer(send, start, told, said):
    """Answer with our words, and with some of those that there were: they may tell until when."""
    message = told.words
    if told.quotes and said:
        # At these two words Claude Code 2.1.329 would say no more than "Credit balance is too low".
        message += f" (it said: {re.sub('credit balance', 'credit', said[:SAID], flags=re.IGNORECASE)})"
    # 400 for what does not pass: at 429 Claude Code would ask ten times more.
    status, kind = (start["status"], "rate_limit_error") if told.passes else (400, "invalid_request_error")
    body = json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [each for each in start["headers"] if each[0].lower() == b"retry-after"]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

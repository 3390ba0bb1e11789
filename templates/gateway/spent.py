"""Puts words to an answer that money is missing for: a used-up quota or budget, or a lane that asks before it bills.

LiteLLM hands the cloud's words on in its own, and Claude Code takes some of these answers for a passing one and asks
again for minutes. The audit keeps the status that there was.
"""

import json
import re

import audit
import reasons
from lines import Document, part, text

SAID = 300  # characters of the cloud's own words
ELSEWHERE = "leave the session (/exit), then claude-switch continue LANE; claude-switch list names the lanes"
WORDS = (
    "the quota or the credit of {who} is used up, and no other model follows in this lane. Wait, or go on in another: "
    + ELSEWHERE
)
UNTRUSTED = "the gateway does not trust the server of {who}: {words}"
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


def around(application):
    """Return the web application (ASGI) with these words in place of LiteLLM's."""

    async def serve(scope, receive, send):
        if scope["type"] != "http" or not scope["path"].endswith("/messages"):
            await application(scope, receive, send)
            return
        words, said = None, None  # said: what was answered, once it is to be answered otherwise

        async def say(message):
            nonlocal words, said
            if message["type"] == "http.response.start" and message["status"] >= 400:
                words = stopped() or used_up() or untrusted()
                said = Document() if words else None
            if said is None:
                await send(message)
            elif message["type"] == "http.response.body":
                said.take(message.get("body", b""))
                if not message.get("more_body"):
                    await answer(send, words, text(part(said.value(), "error"), "message"))

        await application(scope, receive, say)

    return serve


def used_up():
    """Return the words where a quota is why the last that was asked failed; None: it is not."""
    request = audit.current()
    info, why = request.tried[-1] if request and request.tried else ({}, None)
    return WORDS.format(who=info.get("id")) if why == "quota" else None


def untrusted():
    """Return the words where the certificate of the last that was asked is why; None: it is not. No try mends it."""
    request = audit.current()
    info, why = request.tried[-1] if request and request.tried else ({}, None)
    words = reasons.WHY.get(why) if str(why).startswith("certificate") else None
    return words and UNTRUSTED.format(who=info.get("id"), words=words)


def stopped():
    """Return the words where a model was not asked because of what it bills; None: that is not why."""
    request = audit.current()
    if not request or not request.stopped:
        return None
    model, why = request.stopped
    failed = [f"{info['id']} did not answer ({told})" for info, told in request.tried if told not in (None, "budget")]
    first = "; ".join(dict.fromkeys(failed))
    if why == "ask":
        session = audit.word(request.headers.get("x-claude-code-session-id")) or "SESSION"
        return ASK.format(failed=first or "its own model did not answer", model=model, session=session)
    of = {"all": "for this host", "lane": f"of lane {why['name']}", "cloud": f"of {why['name']}"}[why["of"]]
    told = {**why, "of": of, "model": model, "failed": f"{first}, and " if first else "", "since": why["since"][:16]}
    return (UNPRICED if why.get("unpriced") else BUDGET).format(**told)


async def answer(send, words, said):
    """Answer with our words, and with some of those that there were of a quota: they may tell until when."""
    message = words
    if words.startswith("the quota") and said:
        # At these two words Claude Code 2.1.329 would say no more than "Credit balance is too low".
        message += f" (it said: {re.sub('credit balance', 'credit', said[:SAID], flags=re.IGNORECASE)})"
    body = json.dumps({"type": "error", "error": {"type": "invalid_request_error", "message": message}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    # 400: at 429 Claude Code would ask ten times more.
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": body})

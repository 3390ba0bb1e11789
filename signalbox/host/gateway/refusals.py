"""Puts words to an answer that money or trust is missing for.

A used-up quota, limit or budget, a lane that asks first, a certificate.

LiteLLM hands the cloud's words on in its own, and Claude Code takes a used-up quota for a passing one at times and asks
again for minutes. The audit keeps the status that there was.
"""

from __future__ import annotations

import re

from ..shared import reasons
from .asgi import Application, Message, Receive, Scope, Send, respond
from .json_document import Document, part, text
from .request_record import current, word

SAID = 300  # characters of the cloud's own words
ELSEWHERE = "leave the session (/exit), then claude-switch continue LANE; claude-switch list names the lanes"
# Of the audit's reasons, those of the last that was asked: a cloud's own words follow, which may tell until when.
USED_UP = {
    "quota": "the quota or the credit of {} is used up, and no other model follows in this lane. Wait, or go on in "
    "another: " + ELSEWHERE,
    "rate_limit": "{} is at its limit for now, and is asked again by itself. To go on in another lane: " + ELSEWHERE,
    **{
        why: "the gateway does not trust the server of {}: " + words
        for why, words in reasons.WHY.items()
        if why.startswith("certificate")
    },
}
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


def around(application: Application) -> Application:
    """Return the web application with these words in place of LiteLLM's."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].endswith("/messages"):
            await application(scope, receive, send)
            return
        why, words = "", ""
        start: Message = {}
        said: Document | None = None  # what was answered, once it is to be answered otherwise

        async def say(message: Message) -> None:
            nonlocal why, words, start, said
            if message["type"] == "http.response.start" and message["status"] >= 400:
                (why, words), start = stopped() or used_up() or ("", ""), message
                said = Document() if words else None
            if said is None:
                await send(message)
            elif message["type"] == "http.response.body":
                said.take(message.get("body", b""))
                if not message.get("more_body"):
                    await answer(send, start, why, words + quoted(why, said))

        await application(scope, receive, say)

    return serve


def used_up() -> tuple[str, str] | None:
    """Return why the last that was asked failed, and in words, where it is a quota or a limit; None: it is neither."""
    request = current()
    last = request.tried[-1] if request and request.tried else None
    if last is None or last.why not in USED_UP:
        return None
    return last.why, USED_UP[last.why].format(last.info.get("id"))


def stopped() -> tuple[str, str] | None:
    """Return why a model was not asked because of what it bills, and in words; None: that is not why."""
    request = current()
    if not request or not request.stopped:
        return None
    model, why = request.stopped
    failed = [
        f"{each.info['id']} did not answer ({each.why})" for each in request.tried if each.why not in (None, "budget")
    ]
    first = "; ".join(dict.fromkeys(failed))
    if isinstance(why, str):
        session = word(request.headers.get("x-claude-code-session-id")) or "SESSION"
        return "ask", ASK.format(failed=first or "its own model did not answer", model=model, session=session)
    of = {"all": "for this host", "lane": f"of lane {why['name']}", "cloud": f"of {why['name']}"}[why["of"]]
    told = {**why, "of": of, "model": model, "failed": f"{first}, and " if first else "", "since": why["since"][:16]}
    return "budget", (UNPRICED if why["unpriced"] else BUDGET).format(**told)


def quoted(why: str, said: Document) -> str:
    """Return a cloud's own words, as far as they tell more."""
    words = text(part(said.value(), "error"), "message")[:SAID] if why in USED_UP else ""
    # At these two words Claude Code 2.1.329 would say no more than "Credit balance is too low".
    return f" (it said: {re.sub('credit balance', 'credit', words, flags=re.IGNORECASE)})" if words else ""


async def answer(send: Send, start: Message, why: str, message: str) -> None:
    """Answer with our words."""
    # At 429 Claude Code asks ten times more: right for a limit that passes, and for nothing else here.
    passes = why == "rate_limit"
    kind = "rate_limit_error" if passes else "invalid_request_error"
    until = [each for each in start["headers"] if each[0].lower() == b"retry-after"]
    body = {"type": "error", "error": {"type": kind, "message": message}}
    await respond(send, start["status"] if passes else 400, body, until)

"""Holds the first words of a local model back until they are an answer, and asks the fallback where they are none.

Where nobody may follow, it says what came in place of an answer: as one, it would end a task well that was never done.

What can be seen before the first word has gone out is answer_judge.py's. Thinking is passed on at once: what is none
after it ends in an error, and the client asks again; so does one whose last words are a printed call
(answer_endings.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import Any

from . import deployments, rules
from .answer_endings import Ending
from .answer_judge import Judge
from .asgi import Application, Message, Receive, Scope, Send, headers, respond
from .json_document import parsed, text
from .request_record import current

WORDS = (
    "the answer of {} on {} is none: nothing, or a tool call or a template's leftovers printed as text. Its server does"
    " not know the model's template; claude-doctor --explain 'printed as text' has the cures"
)


class MalformedError(OSError):
    """Ends the attempt; for the web application an OSError is a client that is gone."""


def around(application: Application, following: Callable[[Sequence[str]], Sequence[str]]) -> Application:
    """Return the web application with this check around it.

    following: gives the models that may be asked after those that have answered, by their deployments' ids.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].endswith("/messages"):
            await application(scope, receive, send)
            return
        body = await _body(receive)
        if body is None:
            return  # the client is gone
        asked = parsed(body)
        if request := current():
            request.asks_for(asked)
            if (given := rules.moved(asked, request)) is not asked:
                asked, body = given, json.dumps(given).encode()
                scope = _of_length(scope, len(body))
        # LiteLLM's own word for a request that must not go elsewhere; a check of a local model is never billed.
        alone = bool(asked.get("disable_fallbacks"))
        answered: list[str] = []
        asked_already: list[str] = []

        def instead(ident: str) -> str | None:
            """Return who is asked next, should this one's answer be none."""
            models = () if alone else following([*answered, ident])
            return next((model for model in models if model not in asked_already), None)

        while True:
            attempt = Attempt(send, instead, tools=_names(asked), first=not answered, judged=not alone)
            try:
                # LiteLLM keeps what it has parsed in the scope: each attempt gets its own.
                await application({**scope, "state": dict(scope.get("state", {}))}, _given(body, receive), attempt.say)
                await attempt.close()
            except MalformedError:
                pass
            except Exception:
                if not attempt.refused:
                    raise
            if not attempt.refused:
                return
            if attempt.instead is None:
                if request:
                    request.error_class = request.error_class or "malformed"
                await _refuse(send, attempt.ident)
                return
            answered.append(attempt.ident)
            asked_already.append(attempt.instead)
            if request:
                request.estimated = None
                if not request.error_class:
                    request.fallback, request.error_class = deployments.split(attempt.ident)[1], "malformed"
            body = json.dumps({**asked, "model": attempt.instead}).encode()
            scope = _of_length(scope, len(body))

    return serve


class Attempt:
    """One answer on its way to the client, held until it is known to be one. instead: who is asked if it is not."""

    def __init__(
        self, send: Send, instead: Callable[[str], str | None], *, tools: Collection[str], first: bool, judged: bool
    ) -> None:
        self._send, self._next, self._tools, self._first, self._judged = send, instead, tools, first, judged
        self._ending: Ending | None = None  # of a local model's stream, where tools are on offer
        self._held: list[Message] = []
        self._judge: Judge | None = None  # None: the answer has not begun
        self._released = self._begun = False
        self.ident = ""
        self.instead: str | None = None
        self.refused = False

    async def say(self, message: Message) -> None:
        if self.refused:
            raise MalformedError
        if self._ending and message["type"] == "http.response.body":
            self._ending.take(message.get("body", b""))
            if self._ending.bad and (self._released or self._begun):
                await self._break_off()
        if self._released:
            await self._send(message)
            return
        self._held.append(message)
        if message["type"] == "http.response.start":
            given = headers(message)
            self.ident = given.get("x-litellm-model-id", "")
            self.instead = self._next(self.ident)
            stream = given.get("content-type", "").startswith("text/event-stream")
            self._judge = Judge(stream, self._tools)
            if message["status"] >= 400 and self.instead and not self._first:
                self.refused = True  # LiteLLM has asked nobody else: this is another request to it
                raise MalformedError
            if not (deployments.is_local(self.ident) and self._judged) or message["status"] != 200:
                await self._release()
            elif self._tools and stream:
                self._ending = Ending(self._tools)
        elif message["type"] == "http.response.body" and self._judge:
            self._judge.take(message.get("body", b""))
            if not message.get("more_body"):
                self._judge.end()
            if self._ending and self._ending.bad:
                self._judge.verdict = False
            if self._judge.verdict is False and self._begun:
                await self._break_off()
            if self._judge.verdict is False:
                self.refused = True
                raise MalformedError
            if self._judge.verdict:
                await self._release()
            elif self._judge.thinks:
                await self._let_go()
                self._begun = True

    async def close(self) -> None:
        """Let go of what is still held: the application said all it had to say."""
        if not self.refused:
            await self._release()

    async def _release(self) -> None:
        self._released = True
        await self._let_go()

    async def _let_go(self) -> None:
        for message in self._held:
            await self._send(message)
        self._held.clear()

    async def _break_off(self) -> None:
        """End what has begun in an error: failover.py leaves the server alone, and whoever is asked next answers."""
        error = json.dumps(_error(self.ident, "api_error")).encode()
        self._released = True
        if request := current():
            request.error_class = request.error_class or "malformed"
        await self._send({"type": "http.response.body", "body": b"event: error\ndata: " + error + b"\n\n"})
        raise MalformedError


async def _body(receive: Receive) -> bytes | None:
    """Return the body of a request; None: the client went before its end."""
    pieces: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return None
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)


def _of_length(scope: Scope, length: int) -> Scope:
    """Return the scope of a request whose body has another length now."""
    names = [(name, value) for name, value in scope["headers"] if name.lower() != b"content-length"]
    return {**scope, "headers": [*names, (b"content-length", str(length).encode())]}


def _names(asked: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of the tools that a request offers."""
    tools = asked.get("tools")
    names = [text(tool, "name") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    return tuple(name for name in names if name)


async def _refuse(send: Send, ident: str) -> None:
    """Say that what came is no answer. At 400 Claude Code says it too, and asks no ten times more."""
    await respond(send, 400, _error(ident, "invalid_request_error"), [(b"x-litellm-model-id", ident.encode())])


def _error(ident: str, kind: str) -> dict[str, Any]:
    """Return the words as an error of the API."""
    backend, model = deployments.split(ident)
    return {"type": "error", "error": {"type": kind, "message": WORDS.format(model, backend)}}


def _given(body: bytes, receive: Receive) -> Receive:
    """Return an ASGI receive that gives the body, then what the client does."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def hear() -> Message:
        return left.pop() if left else await receive()

    return hear

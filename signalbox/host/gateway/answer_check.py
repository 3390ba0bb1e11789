"""Holds the first words of a local model back until they are an answer, and asks the fallback where they are none.

Where nobody may follow, it says what came in place of an answer: as one, it would end a task well that was never done.

What can be seen before the first word has gone out: an answer without content, one that begins with a template's
leftovers (`<unused24>`), or with a tool call printed as text. Thinking is passed on at once: what is none after it ends
in an error, and the client asks again; so does one whose last words are such a call (endings.py).
"""

import json
import re

from ..shared import no_answer
from . import audit, endings
from .lines import Document, Lines, parsed, part, parts, text

HELD = 2048  # characters; after so many it is an answer
HELD_BYTES = 1 << 18  # of a stream, however little it says
JUDGED = 1 << 14  # characters of its text at most
_OBJECT = r'\{\s*"(?:name|function|tool|type)"\s*:.*"(?:arguments|parameters|input)"\s*:'  # a call as JSON has both
PRINTED_CALL = re.compile(
    rf"(?:```(?:json)?\s*)?\[?\s*{_OBJECT}"
    r"|[\w.-]{1,64}\[ARGS\]\s*\{"  # Mistral's, whose first word was swallowed
    r"|analysis.*?assistant(?:commentary|analysis|final)",  # gpt-oss, whose tokens were printed as words
    re.S,
)
PERHAPS_CALL = re.compile(
    r'`{1,3}$|```(?:j|js|jso|json)?\s*$|(?:```(?:json)?\s*)?\[?\s*\{\s*(?:"(?:$|n|f|t)|$)|(?:```(?:json)?\s*)?\[\s*$'
    r"|[\w.-]{1,64}(?:\[(?:A|AR|ARG|ARGS|ARGS\]\s*)?)?$"
    r"|analysis"
)

WORDS = (
    "the answer of {} on {} is none: nothing, or a tool call or a template's leftovers printed as text. Its server does"
    " not know the model's template; claude-doctor --explain 'printed as text' has the cures"
)


class MalformedError(OSError):
    """Ends the attempt; for the web application an OSError is a client that is gone."""


class Judge:
    """Reads an answer as it comes. verdict: True: an answer; False: none; None: not known yet.

    tools: names of those on offer. thinks: so far the model has thought, and said nothing.
    """

    def __init__(self, stream, tools):
        self._stream, self._tools = stream, tools
        self._lines, self._document, self._text = Lines(), Document(), ""
        self._length = 0
        self._cut_short = self._thought = False
        self.verdict = None

    @property
    def thinks(self):
        return self._thought and not self._text

    def take(self, chunk):
        self._length += len(chunk)
        if not self._stream:
            self._document.take(chunk)
            if self._document.too_long:
                self.verdict = True  # too long to be looked at
            return
        for data in self._lines.take(chunk):
            if self.verdict is None:
                self._event(parsed(data))
        if self.verdict is None and self._length > HELD_BYTES:
            self.verdict = True

    def end(self):
        """Decide: it is over."""
        if self.verdict is None and not self._stream:
            message = self._document.value()
            self._cut_short = message.get("stop_reason") == "max_tokens"
            for block in parts(message, "content"):
                self._block(block)
            if self._tools and endings.bad(message, self._tools):
                self.verdict = False
        if self.verdict is None:
            self.verdict = self._cut_short or (bool(self._text.strip()) and not self._bad())

    def _event(self, event):
        kind = event.get("type")
        if kind == "error":
            self.verdict = True  # an error is told as it is
        elif kind == "content_block_start":
            self._block(part(event, "content_block"))
        elif kind == "content_block_delta":
            self._block(part(event, "delta"))
        elif kind == "message_delta":
            self._cut_short = part(event, "delta").get("stop_reason") == "max_tokens"
        elif kind == "message_stop":
            self.end()

    def _block(self, block):
        kind = block.get("type")
        if kind in ("tool_use", "input_json_delta"):
            self.verdict = True
        elif block.get("thinking"):
            self._thought = True
        elif kind in ("text", "text_delta"):
            self._text = (self._text + text(block, "text")).lstrip()
            if self._text:
                self.verdict = False if self._bad() else None if self._perhaps() else True

    def _words(self):
        return no_answer.behind_a_thought(self._text)

    def _bad(self):
        words = self._words()[:JUDGED]
        return no_answer.begins(words, tools=bool(self._tools)) or bool(self._tools and PRINTED_CALL.match(words))

    def _perhaps(self):
        if len(self._text) >= HELD:
            return False
        words = self._words()
        beginnings = (*no_answer.BEGINNINGS, *no_answer.CALLS) if self._tools else no_answer.BEGINNINGS
        if any(each.startswith(words) for each in (*beginnings, no_answer.THOUGHT[0])):  # "" too: a thought goes on
            return True
        return self._tools and bool(PERHAPS_CALL.match(words))


def around(application, following):
    """Return the web application (ASGI) with the guard around it.

    following: gives the models that may be asked after those that have answered, by their deployments' ids.
    """

    async def serve(scope, receive, send):
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].endswith("/messages"):
            await application(scope, receive, send)
            return
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return  # the client is gone
            body += message.get("body", b"")
            more = message.get("more_body", False)
        body = bytes(body)
        asked = parsed(body)
        # LiteLLM's own word for a request that must not go elsewhere; a check of a local model is never billed.
        alone, answered, asked_already = bool(asked.get("disable_fallbacks")), [], []

        def instead(ident):
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
            request = audit.current()
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
                    request.fallback, request.error_class = attempt.ident.partition("/")[2], "malformed"
            body = json.dumps({**asked, "model": attempt.instead}).encode()
            names = [(name, value) for name, value in scope["headers"] if name.lower() != b"content-length"]
            scope = {**scope, "headers": [*names, (b"content-length", str(len(body)).encode())]}

    return serve


class Attempt:
    """One answer on its way to the client, held until it is known to be one. instead: who is asked if it is not."""

    def __init__(self, send, instead, *, tools, first, judged):
        self._send, self._next, self._tools, self._first, self._judged = send, instead, tools, first, judged
        self._ending = None  # of a local model's stream, where tools are on offer
        self._held = []
        self._judge = None  # None while held: the answer has not begun
        self._released = self._begun = False
        self.ident = self.instead = None
        self.refused = False

    async def say(self, message):
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
            headers = audit.headers(message)
            self.ident = headers.get("x-litellm-model-id", "")
            self.instead = self._next(self.ident)
            self._judge = Judge(headers.get("content-type", "").startswith("text/event-stream"), self._tools)
            local = self.ident.partition("/")[0] in audit.LOCAL
            if message["status"] >= 400 and self.instead and not self._first:
                self.refused = True  # LiteLLM has asked nobody else: this is another request to it
                raise MalformedError
            if not (local and self._judged) or message["status"] != 200:
                await self._release()
            elif self._tools and headers.get("content-type", "").startswith("text/event-stream"):
                self._ending = endings.Ending(self._tools)
        elif message["type"] == "http.response.body":
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

    async def close(self):
        """Let go of what is still held: the application said all it had to say."""
        if not self.refused:
            await self._release()

    async def _release(self):
        self._released = True
        await self._let_go()

    async def _let_go(self):
        for message in self._held:
            await self._send(message)
        self._held.clear()

    async def _break_off(self):
        """End what has begun in an error: failover.py leaves the server alone, and whoever is asked next answers."""
        error = _error(self.ident, "api_error")
        self._released = True
        if request := audit.current():
            request.error_class = request.error_class or "malformed"
        await self._send({"type": "http.response.body", "body": b"event: error\ndata: " + error + b"\n\n"})
        raise MalformedError


def _names(asked):
    """Return the names of the tools that a request offers."""
    tools = asked.get("tools")
    names = [text(tool, "name") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    return tuple(name for name in names if name)


async def _refuse(send, ident):
    """Say that what came is no answer. At 400 Claude Code says it too, and asks no ten times more."""
    headers = [(b"content-type", b"application/json"), (b"x-litellm-model-id", ident.encode())]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": _error(ident, "invalid_request_error")})


def _error(ident, kind):
    """Return the words as an error of the API."""
    backend, _, model = ident.partition("/")
    return json.dumps({"type": "error", "error": {"type": kind, "message": WORDS.format(model, backend)}}).encode()


def _given(body, receive):
    """Return an ASGI receive that gives the body, then what the client does."""
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def hear():
        return left.pop() if left else await receive()

    return hear

"""Holds the first words of a local model back until they are an answer, and asks the fallback where they are none.

What can be seen before the first word has gone out: an answer without content, one that begins with a template's
leftovers (`<unused24>`), or with a tool call printed as text. What cannot: the same later in a stream, or after
thinking, which is passed on at once.
"""

import json
import re

import audit
from lines import Document, Lines, parsed, part, parts, text

HELD = 2048  # characters; after so many it is an answer
HELD_BYTES = 1 << 18  # of a stream, however little it says
JUDGED = 1 << 14  # characters of its text at most
# What models print when their server does not know their template. A call as plain JSON has both keys.
LEFTOVERS = (
    "<unused",
    "<tool_call",
    "<function=",
    "<|tool_call",
    "<|python_tag|>",
    "[TOOL_CALLS]",
    "<start_function_call>",
)
PRINTED_CALL = re.compile(
    r'^(?:```(?:json)?\s*)?\{\s*"(?:name|function|tool)"\s*:.*"(?:arguments|parameters|input)"\s*:', re.S
)
PERHAPS_CALL = re.compile(r'^(?:`{1,3}$|```(?:j|js|jso|json)?\s*$|(?:```(?:json)?\s*)?\{\s*(?:"(?:$|n|f|t)|$))')


class MalformedError(OSError):
    """Ends the attempt; for the web application an OSError is a client that is gone."""


class Judge:
    """Reads an answer as it comes. verdict: True: an answer; False: none; None: not known yet."""

    def __init__(self, stream, tools):
        self._stream, self._tools = stream, tools
        self._lines, self._document, self._text = Lines(), Document(), ""
        self._length = 0
        self._cut_short = False
        self.verdict = None

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
        if kind in ("tool_use", "input_json_delta") or block.get("thinking"):
            self.verdict = True
        elif kind in ("text", "text_delta"):
            self._text = (self._text + text(block, "text")).lstrip()
            if self._text:
                self.verdict = False if self._bad() else None if self._perhaps() else True

    def _bad(self):
        text = self._text[:JUDGED]
        return text.startswith(LEFTOVERS) or (self._tools and bool(PRINTED_CALL.match(text)))

    def _perhaps(self):
        if len(self._text) >= HELD:
            return False
        beginning = any(each.startswith(self._text) for each in LEFTOVERS)
        return beginning or (self._tools and bool(PERHAPS_CALL.match(self._text)))


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
            attempt = Attempt(send, instead, tools=bool(asked.get("tools")), first=not answered)
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
            answered.append(attempt.ident)
            asked_already.append(attempt.instead)
            request = audit.current()
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

    def __init__(self, send, instead, *, tools, first):
        self._send, self._next, self._tools, self._first = send, instead, tools, first
        self._held = []
        self._judge = None  # None while held: the answer has not begun
        self._released = False
        self.ident = self.instead = None
        self.refused = False

    async def say(self, message):
        if self.refused:
            raise MalformedError
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
            if self.instead is None or not local or message["status"] != 200:
                await self._release()
        elif message["type"] == "http.response.body":
            self._judge.take(message.get("body", b""))
            if not message.get("more_body"):
                self._judge.end()
            if self._judge.verdict is False:
                self.refused = True
                raise MalformedError
            if self._judge.verdict:
                await self._release()

    async def close(self):
        """Let go of what is still held: the application said all it had to say."""
        if not self.refused:
            await self._release()

    async def _release(self):
        self._released = True
        for message in self._held:
            await self._send(message)
        self._held.clear()


def _given(body, receive):
    """Return an ASGI receive that gives the body, then what the client does."""
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def hear():
        return left.pop() if left else await receive()

    return hear

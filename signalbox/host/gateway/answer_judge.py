"""Whether what a local model says is an answer, told by its beginning: before the first word has gone out.

None is an answer without content, one that begins with a template's leftovers (`<unused24>`), or with a tool call
printed as text.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from ..shared import no_answer
from . import answer_endings
from .event_stream import EventStream
from .json_document import Document, parsed, part, parts, text

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


class Judge:
    """Reads an answer as it comes. verdict: True: an answer; False: none; None: not known yet.

    tools: names of those on offer. thinks: so far the model has thought, and said nothing.
    """

    def __init__(self, stream: bool, tools: Collection[str]) -> None:
        self._stream, self._tools = stream, tools
        self._events, self._document, self._text = EventStream(), Document(), ""
        self._length = 0
        self._cut_short = self._thought = False
        self.verdict: bool | None = None

    @property
    def thinks(self) -> bool:
        return self._thought and not self._text

    def take(self, chunk: bytes) -> None:
        self._length += len(chunk)
        if not self._stream:
            self._document.take(chunk)
            if self._document.too_long:
                self.verdict = True  # too long to be looked at
            return
        for data in self._events.take(chunk):
            if self.verdict is None:
                self._event(parsed(data))
        if self.verdict is None and self._length > HELD_BYTES:
            self.verdict = True

    def end(self) -> None:
        """Decide: it is over."""
        if self.verdict is None and not self._stream:
            message = self._document.value()
            self._cut_short = message.get("stop_reason") == "max_tokens"
            for block in parts(message, "content"):
                self._block(block)
            if self._tools and answer_endings.bad(message, self._tools):
                self.verdict = False
        if self.verdict is None:
            self.verdict = self._cut_short or (bool(self._text.strip()) and not self._bad())

    def _event(self, event: dict[str, Any]) -> None:
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

    def _block(self, block: dict[str, Any]) -> None:
        kind = block.get("type")
        if kind in ("tool_use", "input_json_delta"):
            self.verdict = True
        elif block.get("thinking"):
            self._thought = True
        elif kind in ("text", "text_delta"):
            self._text = (self._text + text(block, "text")).lstrip()
            if self._text:
                self.verdict = False if self._bad() else None if self._perhaps() else True

    def _words(self) -> str:
        return no_answer.behind_a_thought(self._text)

    def _bad(self) -> bool:
        words = self._words()[:JUDGED]
        return no_answer.begins(words, tools=bool(self._tools)) or bool(self._tools and PRINTED_CALL.match(words))

    def _perhaps(self) -> bool:
        if len(self._text) >= HELD:
            return False
        words = self._words()
        beginnings = (*no_answer.BEGINNINGS, *no_answer.CALLS) if self._tools else no_answer.BEGINNINGS
        if any(each.startswith(words) for each in (*beginnings, no_answer.THOUGHT[0])):  # "" too: a thought goes on
            return True
        return bool(self._tools) and bool(PERHAPS_CALL.match(words))

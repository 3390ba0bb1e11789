"""Whether an answer ends in a tool call printed as text: its words have gone out, and the work would stay undone."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..shared.no_answer import KEPT, in_call
from .event_stream import EventStream
from .json_document import parsed, part, parts, text


class Ending:
    """Reads a stream of Anthropic's events. bad: it is at its end, and that is a printed call."""

    def __init__(self, names: Collection[str]) -> None:
        self._names, self._events, self._text = names, EventStream(), ""
        self._called = self.bad = False

    def take(self, chunk: bytes) -> None:
        for data in self._events.take(chunk):
            if b"text_delta" in data or b"tool_use" in data or b"message_delta" in data:
                self._event(parsed(data))

    def _event(self, event: dict[str, Any]) -> None:
        kind = event.get("type")
        if kind == "content_block_start":
            self._called = self._called or part(event, "content_block").get("type") == "tool_use"
        elif kind == "content_block_delta":
            self._text = (self._text + text(part(event, "delta"), "text"))[-KEPT:]
        elif kind == "message_delta" and part(event, "delta").get("stop_reason") == "end_turn":
            self.bad = not self._called and in_call(self._text, self._names)


def bad(message: dict[str, Any], names: Collection[str]) -> bool:
    """Return whether a whole message ends so."""
    blocks = parts(message, "content")
    if message.get("stop_reason") != "end_turn" or any(block.get("type") == "tool_use" for block in blocks):
        return False
    return in_call("".join(text(block, "text") for block in blocks), names)

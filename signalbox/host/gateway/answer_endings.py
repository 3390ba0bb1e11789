"""Whether an answer ends in a tool call printed as text: its words have gone out, and the work would stay undone.

It is told from a text about such calls by what stands in it: a call is the last thing said, in no code block and no
quotation, and in JSON alone it names a tool that was on offer.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from .event_stream import EventStream
from .json_document import parsed, part, parts, text

KEPT = 1 << 14  # characters of an answer's end
OPENS = re.compile(
    r"<tool_call>|<function=|<\|tool_call|<\|python_tag\|>|\[TOOL_CALLS\]|<start_function_call>|<function_calls>"
    r"|<invoke name=|<seed:tool_call>|<minimax:tool_call>|<\uff5cDSML\uff5c|<\uff5ctool|commentary to=functions\."
)
NAMED = re.compile(
    r'\{\s*"(?:name|function|tool)"\s*:\s*"([\w.-]{1,64})"\s*,\s*"(?:arguments|parameters|input)"\s*:'
    r".*\}\s*\]?\s*(?:```)?\s*\Z"
    r"|\b([\w.-]{1,64})\[ARGS\]\s*\{.*\}\s*\Z",
    re.S,
)
ENDS = ("}", ">", "]", ")")


def in_call(said: str, names: Collection[str]) -> bool:
    """Return whether a text ends in a printed call. names: of the tools on offer."""
    end = said[-KEPT:].rstrip()
    openings = [found for found in OPENS.finditer(end) if end[: found.start()].count("```") % 2 == 0]
    if openings and end.endswith(ENDS) and end[: openings[0].start()][-1:] != "`":
        called = end[openings[0].end() :]
        if "{" in called or any(name in called for name in names):
            return True
    named = NAMED.search(end)
    return named is not None and (named[1] or named[2]) in names


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

"""How many tokens an answer was, by what went over the wire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeGuard

from .event_stream import EventStream
from .json_document import Document, parsed, part, parts, text
from .prices import NOTHING, Tokens

COUNT = 1 << 40  # a server that counts more tokens has not counted
COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "prompt_tokens",
          "completion_tokens", "cached_tokens")  # fmt: skip
# Of what Anthropic's cloud counts beside: what was written to a cache for an hour, not for minutes, and its searches.
COUNTS_BESIDE = {"cache_creation": "ephemeral_1h_input_tokens", "server_tool_use": "web_search_requests"}


class AnswerUsage:
    """Counts tokens in an answer, a stream of server-sent events or one JSON document.

    characters: of the model's own words. error: our word for how the answer broke off.
    """

    def __init__(self) -> None:
        self._events, self._document = EventStream(), Document()
        self._usage: dict[str, int] = {}
        self._ended = False
        self.characters = 0
        self.error: str | None = None

    def take(self, chunk: bytes, stream: bool) -> None:
        """Take a piece of the answer."""
        if stream:
            for data in self._events.take(chunk):
                self._ended = self._ended or data == b"[DONE]"
                self._event(parsed(data))
        else:
            self._document.take(chunk)

    def end(self, stream: bool) -> None:
        """Take note that the answer is over. An answer that was cut off has an error."""
        if stream:
            self.take(b"\n", stream)
            self.error = self.error or (None if self._ended else "cut")
        elif self._document.too_long:
            self.characters = self._document.length
        else:
            self._event(self._document.value())

    def counted(self) -> Tokens | None:
        """Return the tokens as the server counted them; None where it did not, or not to the end."""
        usage = self._usage
        output = usage.get("output_tokens") or usage.get("completion_tokens") or 0
        if not self._ended or not (output or not self.characters):
            return None
        written = usage.get("cache_creation_input_tokens", 0)
        cached = usage.get("cache_read_input_tokens") or usage.get("cached_tokens") or 0
        given = usage.get("input_tokens")
        if given is None:  # OpenAI counts what was cached among the prompt's
            given = max(0, usage.get("prompt_tokens", 0) - cached)
        if not given and not cached and not written:
            return None  # no request is empty: the server did not count
        hour, searches = (usage.get(name, 0) for name in COUNTS_BESIDE.values())
        found: Tokens = {**NOTHING, "input": given, "output": output, "cached": cached, "written": written}
        return {**found, "hour": min(hour, written), "searches": searches}

    def _event(self, event: dict[str, Any]) -> None:
        if not event:
            return
        kind = event.get("type")
        if kind == "error" or event.get("error"):
            kind_of_error = text(event.get("error"), "type")
            self.error = {"overloaded_error": "overloaded", "rate_limit_error": "rate_limit",
                          "timeout_error": "timeout"}.get(kind_of_error, "stream_error")  # fmt: skip
        self._ended = self._ended or kind in ("message_stop", "message") or text(event, "object").endswith("completion")
        usage = part(part(event, "message") if kind == "message_start" else event, "usage")
        for each in (usage, part(usage, "prompt_tokens_details")):
            self._usage |= {name: each[name] for name in COUNTS if is_count(each.get(name))}
        for where, name in COUNTS_BESIDE.items():
            if is_count(told := part(usage, where).get(name)):
                self._usage[name] = told
        self.characters += spoken(event)


def is_count(value: object) -> TypeGuard[int]:
    """Return whether a value of a server's `usage` is a number of tokens."""
    return type(value) is int and 0 < value < COUNT


def spoken(event: Mapping[str, Any]) -> int:
    """Return how many characters of an event are the model's own."""
    said = [part(event, "delta"), *parts(event, "content")]
    for choice in parts(event, "choices"):
        message = part(choice, "delta") or part(choice, "message")
        said += [message, *(part(call, "function") for call in parts(message, "tool_calls"))]
    names = ("text", "thinking", "partial_json", "content", "arguments")
    words = sum(len(text(each, name)) for each in said for name in names)
    return words + sum(length(each.get("input")) for each in said)


def length(value: object) -> int:
    """Return how many characters a tool's input is long."""
    try:
        return len(json.dumps(value)) if value else 0
    except (ValueError, RecursionError):
        return 0

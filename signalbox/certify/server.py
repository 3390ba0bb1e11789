"""A model server's Anthropic endpoint, as Claude Code uses it: whole answers and streams, timed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests

Json = dict[str, Any]


class Refused(Exception):  # noqa: N818 (it is what the server did)
    """The server said no, or nothing: `status` (0: nothing came) and its own `words`."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"{status or 'no answer'}: {words[:300]}")
        self.status, self.words = status, words


@dataclass(frozen=True)
class Said:
    """An answer. content: its blocks. stop: stop_reason. first, seconds: to the first token, and in all.

    events: the kinds of events of a stream, in order, without repetitions; () for a whole answer.
    """

    content: tuple[Json, ...]
    stop: str | None
    input_tokens: int
    output_tokens: int
    first: float
    seconds: float
    events: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Its text."""
        return "".join(str(part.get("text", "")) for part in self.content if part.get("type") == "text")

    @property
    def calls(self) -> list[Json]:
        """Its tool_use blocks."""
        return [part for part in self.content if part.get("type") == "tool_use"]


@dataclass(frozen=True)
class Server:
    """url: without /v1. model: as the server calls it. token: sent as a bearer, "" for none. patience: seconds."""

    url: str
    model: str
    token: str = ""
    patience: float = 300

    def ask(self, messages: Sequence[Json] | str, *, stream: bool = False, **more: Any) -> Said:
        """Ask for an answer of at most 512 tokens, or `max_tokens`. Raises Refused."""
        turns = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
        body = {"model": self.model, "max_tokens": 512, "messages": turns, **more}
        started = time.monotonic()
        if stream:
            return self._streamed(self._post("/v1/messages", {**body, "stream": True}, stream=True), started)
        answer = self._json(self._post("/v1/messages", body))
        taken = time.monotonic() - started
        usage = answer.get("usage") or {}
        return Said(
            tuple(answer.get("content") or ()),
            answer.get("stop_reason"),
            int(usage.get("input_tokens") or 0),
            int(usage.get("output_tokens") or 0),
            taken,
            taken,
        )

    def count(self, text: str) -> int:
        """Return how many tokens the server counts. Raises Refused where it does not count."""
        body = {"model": self.model, "messages": [{"role": "user", "content": text}]}
        answer = self._json(self._post("/v1/messages/count_tokens", body))
        if not isinstance(answer.get("input_tokens"), int):
            raise Refused(200, json.dumps(answer)[:200])
        return int(answer["input_tokens"])

    def _post(self, path: str, body: Mapping[str, Any], *, stream: bool = False) -> requests.Response:
        # A connection each: llama.cpp closes one that it kept without a word.
        headers = {"anthropic-version": "2023-06-01", "Connection": "close"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            answer = requests.post(
                f"{self.url}{path}", json=dict(body), headers=headers, timeout=self.patience, stream=stream
            )
        except requests.RequestException as error:
            raise Refused(0, str(error)) from None
        if answer.status_code != 200:
            raise Refused(answer.status_code, answer.text)
        return answer

    def _json(self, answer: requests.Response) -> Json:
        try:
            read = answer.json()
        except ValueError:
            raise Refused(200, f"no JSON: {answer.text[:200]}") from None
        if not isinstance(read, dict) or "error" in read:
            raise Refused(200, json.dumps(read)[:300])
        return read

    def _streamed(self, answer: requests.Response, started: float) -> Said:
        blocks: dict[int, Json] = {}
        kinds: list[str] = []
        stop, first, usage = None, 0.0, {"input_tokens": 0, "output_tokens": 0}
        for event in _events(answer):
            kind = str(event.get("type"))
            if kind == "error":
                raise Refused(200, json.dumps(event.get("error")))
            if not kinds or kinds[-1] != kind:
                kinds.append(kind)
            if kind == "content_block_start":
                blocks[event["index"]] = {**event["content_block"], "json": ""}
            elif kind == "content_block_delta":
                first = first or time.monotonic() - started
                _add(blocks.setdefault(event["index"], {"type": "text", "json": ""}), event["delta"])
            if kind in ("message_start", "message_delta"):
                told = event.get("usage") or (event.get("message") or {}).get("usage") or {}
                usage |= {name: value for name, value in told.items() if name in usage and value}
                stop = (event.get("delta") or {}).get("stop_reason") or stop
        content = tuple(_whole(block) for _, block in sorted(blocks.items()))
        taken = time.monotonic() - started
        counts = (int(usage["input_tokens"]), int(usage["output_tokens"]))
        return Said(content, stop, *counts, first or taken, taken, tuple(kinds))


def _events(answer: requests.Response) -> Iterator[Json]:
    try:
        # As bytes: text would also be cut at the other line ends of Unicode, which may stand in what a model says.
        for line in answer.iter_lines():
            if line.startswith(b"data:") and line[5:].strip() != b"[DONE]":
                yield json.loads(line[5:])
    except (requests.RequestException, ValueError) as error:
        raise Refused(200, f"the stream broke: {error}") from None


def _add(block: Json, delta: Json) -> None:
    if "partial_json" in delta:
        block["json"] += delta["partial_json"]
    for name in ("text", "thinking"):
        if name in delta:
            block[name] = block.get(name, "") + delta[name]


def _whole(block: Json) -> Json:
    text = block.pop("json")
    if block.get("type") == "tool_use" and text:
        try:
            block["input"] = json.loads(text)
        except ValueError:
            block["input"] = {}
    return block

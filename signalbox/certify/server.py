"""A model server's endpoint, as Claude Code or the gateway uses it: whole answers and streams, timed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import requests

from signalbox.certify import chat
from signalbox.host.shared.within import json_of

Json = dict[str, Any]
LONGEST = 16 << 20  # bytes of an answer, and of a stream's line


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
    """url: without /v1. model: as the server calls it. token: sent as a bearer, "" for none.

    patience: seconds that the server may be silent, and that a whole answer may take.
    openai: whether it is asked in OpenAI's format, because it has no Anthropic endpoint.
    """

    url: str
    model: str
    token: str = ""
    patience: float = 300
    openai: bool = False

    def ask(self, messages: Sequence[Json] | str, *, stream: bool = False, **more: Any) -> Said:
        """Ask for an answer of at most 512 tokens, or `max_tokens`. Raises Refused."""
        turns = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages)
        body = {"model": self.model, "max_tokens": 512, "messages": turns, **more}
        started = time.monotonic()
        path = chat.PATH if self.openai else "/v1/messages"
        if stream:
            body |= {"stream": True}
        if self.openai:
            body = chat.request(body)
        deadline = started + self.patience
        answer = self._post(path, body)
        if stream:
            return self._streamed(_lines(answer, deadline), started)
        read = _json(_body(answer, deadline))
        if self.openai:
            try:
                read = chat.message(read)
            except (LookupError, TypeError):
                raise Refused(200, f"no completion: {json.dumps(read)[:200]}") from None
        taken = time.monotonic() - started
        told = read.get("usage") or {}
        content = tuple(read.get("content") or ())
        return Said(content, read.get("stop_reason"), *_tokens(told), taken, taken)

    def count(self, text: str) -> int:
        """Return how many tokens the server counts. Raises Refused where it does not count."""
        if self.openai:
            raise Refused(404, "OpenAI's format cannot count")
        body = {"model": self.model, "messages": [{"role": "user", "content": text}]}
        answer = _json(_body(self._post("/v1/messages/count_tokens", body), time.monotonic() + self.patience))
        if not isinstance(answer.get("input_tokens"), int):
            raise Refused(200, json.dumps(answer)[:200])
        return int(answer["input_tokens"])

    def tell(self, path: str, body: Mapping[str, Any] | None = None) -> Json:
        """Return what the server tells of itself at a path; {} where it tells nothing there."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            verb = "GET" if body is None else "POST"
            answer = requests.request(
                verb, f"{self.url}{path}", json=body, headers=headers, timeout=(10, 10), stream=True
            )
            read = json_of(_body(answer, time.monotonic() + 20)) if answer.status_code == 200 else {}
        except (requests.RequestException, Refused, ValueError):
            return {}
        return read if isinstance(read, dict) else {}

    def _post(self, path: str, body: Mapping[str, Any]) -> requests.Response:
        # A connection each: llama.cpp closes one that it kept without a word.
        headers = {"anthropic-version": "2023-06-01", "Connection": "close"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            answer = requests.post(
                f"{self.url}{path}", json=dict(body), headers=headers, timeout=(10, self.patience), stream=True
            )
        except requests.RequestException as error:
            raise Refused(0, _why(error, self.patience)) from None
        if answer.status_code != 200:
            raise Refused(answer.status_code, _body(answer, time.monotonic() + self.patience).decode(errors="replace"))
        return answer

    def _streamed(self, lines: Iterator[Json], started: float) -> Said:
        blocks: dict[int, Json] = {}
        kinds: list[str] = []
        stop, first = None, 0.0
        usage: Json = {}
        for event in chat.events(lines) if self.openai else lines:
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
                usage |= {name: value for name, value in told.items() if value}
                stop = (event.get("delta") or {}).get("stop_reason") or stop
        content = tuple(_whole(block) for _, block in sorted(blocks.items()))
        taken = time.monotonic() - started
        return Said(content, stop, *_tokens(usage), first or taken, taken, tuple(kinds))


def _why(error: requests.RequestException, patience: float) -> str:
    return f"nothing came within {patience:.0f} s" if isinstance(error, requests.ReadTimeout) else str(error)


def _body(answer: requests.Response, deadline: float) -> bytes:
    """Return the whole body. Raises Refused when it breaks off, or goes on until the deadline."""
    read = bytearray()
    try:
        for part in answer.iter_content(65536):
            read += part
            _in_time(deadline)
            if len(read) > LONGEST:
                raise Refused(200, f"the answer has more than {LONGEST >> 20} MiB")
    except requests.RequestException as error:
        raise Refused(0, f"the answer broke off: {error}") from None
    return bytes(read)


def _lines(answer: requests.Response, deadline: float) -> Iterator[Json]:
    try:
        # As bytes: text would also be cut at the other line ends of Unicode, which may stand in what a model says.
        rest = b""
        for part in chain(answer.iter_content(512), (b"\n",)):  # small, so that the first token is seen when it comes
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                if line.startswith(b"data:") and line[5:].strip() != b"[DONE]":
                    yield json_of(line[5:])
            _in_time(deadline)
            if len(rest) > LONGEST:
                raise Refused(200, f"a line of the stream has more than {LONGEST >> 20} MiB")
    except (requests.RequestException, ValueError) as error:
        raise Refused(200, f"the stream broke: {error}") from None


def _in_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise Refused(0, "the answer takes longer than --patience")


def _json(body: bytes) -> Json:
    try:
        read = json_of(body)
    except ValueError:
        raise Refused(200, f"no JSON: {body[:200].decode(errors='replace')}") from None
    if not isinstance(read, dict) or "error" in read:
        raise Refused(200, json.dumps(read)[:300])
    return read


def _tokens(usage: Mapping[str, Any]) -> tuple[int, int]:
    """Return the tokens of the prompt and of the answer. A prompt's beginning that is in a cache is told apart."""
    read = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return sum(int(usage.get(name) or 0) for name in read), int(usage.get("output_tokens") or 0)


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
            block["input"] = json_of(text)
        except ValueError:
            block["input"] = {}
    return block

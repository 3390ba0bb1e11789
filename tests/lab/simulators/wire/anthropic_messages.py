"""The Anthropic Messages format, for every server that speaks it: request to `Prompt`, `Reply` to JSON or events."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Iterator
from typing import Any

from tests.lab.simulators.model import Part, Prompt, Reply, Text, Tool, ToolCall, ToolResult, Turn, pieces
from tests.lab.simulators.protocol import sse
from tests.lab.simulators.wire.anthropic_schema import CountTokens, Messages, ThinkingBlock

_STOP = {"end": "end_turn", "tool": "tool_use", "length": "max_tokens", "sequence": "stop_sequence"}


def signature(thinking: str) -> str:
    """The signature of a thinking block; a changed block no longer fits its signature."""
    return base64.b64encode(hashlib.sha256(b"simulated " + thinking.encode()).digest()).decode()


def prompt(request: CountTokens) -> Prompt:
    """The request as the scripted model reads it."""
    choice: Any = "auto"
    if request.tool_choice is not None:
        kind = request.tool_choice.type
        choice = ("tool", request.tool_choice.name) if kind == "tool" else kind
    full = isinstance(request, Messages)
    output = request.output_config
    return Prompt(
        model=request.model,
        turns=tuple(Turn(m.role, tuple(_parts(m.blocks))) for m in request.messages),
        system=_plain(request.system),
        tools=tuple(
            Tool(t.name, t.description or "", t.input_schema.model_dump(exclude_none=True))
            for t in request.tools or ()
            if hasattr(t, "input_schema")
        ),
        tool_choice=choice,
        max_tokens=request.max_tokens if full else None,
        stop=tuple(request.stop_sequences or ()) if full else (),
        json_schema=output.format.schema_ if output and output.format else None,
        thinking=request.thinking is not None and request.thinking.type == "enabled",
    )


def _plain(content: Any) -> str:
    """A text or a list of blocks, as text; what is not text counts with its JSON."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "\n".join(b.text if b.type == "text" else b.model_dump_json(exclude_none=True) for b in content)


def _parts(blocks: list[Any]) -> Iterator[Part]:
    for block in blocks:
        if block.type == "tool_use":
            yield ToolCall(block.id, block.name, block.input)
        elif block.type == "tool_result":
            yield ToolResult(block.tool_use_id, _plain(block.content))
        elif not isinstance(block, ThinkingBlock):  # thinking of earlier turns is not counted by the vendor
            yield Text(_plain([block]))


def _content(reply: Reply) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if reply.thinking:
        blocks.append({"type": "thinking", "thinking": reply.thinking, "signature": signature(reply.thinking)})
    if reply.text or not (reply.call or reply.thinking):
        blocks.append({"type": "text", "text": reply.text})
    if reply.call:
        call = reply.call
        ident = call.id if "functions." in call.id else f"toolu_{call.id}"
        blocks.append({"type": "tool_use", "id": ident, "name": call.name, "input": call.input})
    return blocks


def message(reply: Reply, model: str, usage: dict[str, Any] | None = None) -> dict[str, Any]:
    """The answer when it is not streamed. usage: further members of its usage."""
    return {
        "id": f"msg_{secrets.token_hex(12)}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": _content(reply),
        "stop_reason": _STOP[reply.stop],
        "stop_sequence": reply.stop_sequence,
        "usage": {"input_tokens": reply.input_tokens, "output_tokens": reply.output_tokens, **(usage or {})},
    }


def events(whole: dict[str, Any], habit: str = "") -> Iterator[bytes]:
    """The answer as server-sent events, in the vendor's order (docs: "Streaming messages").

    whole: what `message` returned. habit: "names each piece" begins a block with each piece of a call.
    """

    def event(data: dict[str, Any]) -> bytes:
        return sse(data, data["type"])

    start = {**whole, "content": [], "stop_reason": None, "stop_sequence": None}
    start["usage"] = {**whole["usage"], "output_tokens": 1}
    yield event({"type": "message_start", "message": start})
    blocks = [piece for block in whole["content"] for piece in _pieces(block, habit)]
    for index, (block, given) in enumerate(blocks):
        yield event({"type": "content_block_start", "index": index, "content_block": _opened(block)})
        if index == 0:
            yield event({"type": "ping"})
        for delta in given:
            yield event({"type": "content_block_delta", "index": index, "delta": delta})
        yield event({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": whole["stop_sequence"]}
    yield event({"type": "message_delta", "delta": delta, "usage": whole["usage"]})
    yield event({"type": "message_stop"})


def _pieces(block: dict[str, Any], habit: str) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    deltas = list(_deltas(block))
    if habit == "names each piece" and block["type"] == "tool_use":
        yield from ((block, [delta]) for delta in deltas)
    else:
        yield block, deltas


def _opened(block: dict[str, Any]) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
    }[block["type"]]
    return {**block, **empty}


def _deltas(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if block["type"] == "text":
        for piece in pieces(block["text"]):
            yield {"type": "text_delta", "text": piece}
    elif block["type"] == "thinking":
        for piece in pieces(block["thinking"]):
            yield {"type": "thinking_delta", "thinking": piece}
        yield {"type": "signature_delta", "signature": block["signature"]}
    else:
        yield {"type": "input_json_delta", "partial_json": ""}
        for piece in pieces(json.dumps(block["input"])):
            yield {"type": "input_json_delta", "partial_json": piece}

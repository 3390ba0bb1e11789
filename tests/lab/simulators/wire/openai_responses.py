"""The OpenAI Responses format: request to `Prompt`, `Reply` to JSON or events. Without stored conversations."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

from tests.lab.simulators.model import Part, Prompt, Reply, Text, Tool, ToolCall, ToolResult, Turn, pieces
from tests.lab.simulators.protocol import sse


def prompt(body: dict[str, Any], model: str) -> Prompt:
    """A request as the scripted model reads it. model: the one that answers."""
    given = body["input"]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    system = [body["instructions"]] if body.get("instructions") else []
    system += [_plain(item.get("content")) for item in items if item.get("role") in ("system", "developer")]
    choice = body.get("tool_choice") or "auto"
    if isinstance(choice, dict):
        choice = ("tool", choice.get("name", ""))
    form = (body.get("text") or {}).get("format") or {}
    return Prompt(
        model=model,
        turns=tuple(_turn(item) for item in items if item.get("role") not in ("system", "developer")),
        system="\n".join(system),
        tools=tuple(
            Tool(t["name"], t.get("description") or "", t.get("parameters") or {})
            for t in body.get("tools") or ()
            if t.get("type") == "function"
        ),
        tool_choice="any" if choice == "required" else choice,
        max_tokens=body.get("max_output_tokens"),
        json_schema=form.get("schema") if form.get("type") == "json_schema" else None,
    )


def _plain(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text") or json.dumps(part) for part in content or ())


def _turn(item: dict[str, Any]) -> Turn:
    part: Part
    if item.get("type") == "function_call_output":
        return Turn("user", (ToolResult(item["call_id"], _plain(item["output"])),))
    if item.get("type") == "function_call":
        part = ToolCall(item["call_id"], item["name"], json.loads(item["arguments"] or "{}"))
        return Turn("assistant", (part,))
    part = Text(_plain(item.get("content")))
    return Turn("assistant" if item.get("role") == "assistant" else "user", (part,))


def response(reply: Reply, body: dict[str, Any], model: str) -> dict[str, Any]:
    """The answer when it is not streamed."""
    cut = reply.stop == "length"
    return {
        "id": f"resp_{secrets.token_hex(12)}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "error": None,
        "instructions": body.get("instructions"),
        "model": model,
        "output": [_item(reply)],
        "parallel_tool_calls": True,
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "usage": {
            "input_tokens": reply.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": reply.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": reply.input_tokens + reply.output_tokens,
        },
    }


def _item(reply: Reply) -> dict[str, Any]:
    if reply.call:
        return {
            "id": f"fc_{secrets.token_hex(12)}",
            "type": "function_call",
            "status": "completed",
            "call_id": f"call_{reply.call.id}",
            "name": reply.call.name,
            "arguments": json.dumps(reply.call.input),
        }
    return {
        "id": f"msg_{secrets.token_hex(12)}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": reply.text, "annotations": []}],
    }


def events(whole: dict[str, Any]) -> Iterator[bytes]:
    """The answer as server-sent events. whole: what `response` returned."""
    for number, (kind, data) in enumerate(_steps(whole)):
        yield sse({"type": kind, "sequence_number": number, **data}, kind)


def _steps(whole: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    opened = {**whole, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    yield "response.created", {"response": opened}
    yield "response.in_progress", {"response": opened}
    [item] = whole["output"]
    where = {"item_id": item["id"], "output_index": 0}
    empty = {"content": []} if item["type"] == "message" else {"arguments": ""}
    yield "response.output_item.added", {"output_index": 0, "item": {**item, **empty, "status": "in_progress"}}
    if item["type"] == "message":
        [part] = item["content"]
        where["content_index"] = 0
        yield "response.content_part.added", {**where, "part": {**part, "text": ""}}
        for piece in pieces(part["text"]):
            yield "response.output_text.delta", {**where, "delta": piece, "logprobs": []}
        yield "response.output_text.done", {**where, "text": part["text"], "logprobs": []}
        yield "response.content_part.done", {**where, "part": part}
    else:
        for piece in pieces(item["arguments"]):
            yield "response.function_call_arguments.delta", {**where, "delta": piece}
        done = {"name": item["name"], "arguments": item["arguments"]}
        yield "response.function_call_arguments.done", {**where, **done}
    yield "response.output_item.done", {"output_index": 0, "item": item}
    yield f"response.{whole['status']}", {"response": whole}

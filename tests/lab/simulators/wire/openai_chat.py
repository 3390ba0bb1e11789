"""The OpenAI chat, completion and embedding formats: request to `Prompt`, `Reply` to JSON or events.

Nothing is validated here: each server that speaks these formats has its own idea of what it refuses.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

from tests.lab.simulators.model import Part, Prompt, Reply, Text, Tool, ToolCall, ToolResult, Turn, pieces, tokens
from tests.lab.simulators.protocol import sse

_FINISH = {"end": "stop", "sequence": "stop", "tool": "tool_calls", "length": "length"}
DONE = sse("[DONE]")


def prompt(body: dict[str, Any], model: str) -> Prompt:
    """A chat request as the scripted model reads it. model: the one that answers, whatever the request says."""
    system, turns = [], []
    for message in body["messages"]:
        if message["role"] in ("system", "developer"):
            system.append(_plain(message.get("content")))
        else:
            turns.append(_turn(message))
    choice = body.get("tool_choice") or "auto"
    if isinstance(choice, dict):
        choice = ("tool", choice.get("function", {}).get("name", ""))
    limit = body.get("max_tokens") or body.get("max_completion_tokens")
    stop = body.get("stop") or ()
    form = body.get("response_format") or {}
    return Prompt(
        model=model,
        turns=tuple(turns),
        system="\n".join(system),
        tools=tuple(
            Tool(t["function"]["name"], t["function"].get("description") or "", t["function"].get("parameters") or {})
            for t in body.get("tools") or ()
        ),
        tool_choice="any" if choice == "required" else choice,
        max_tokens=limit if limit and limit > 0 else None,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        json_schema=form.get("json_schema", {}).get("schema") if form.get("type") == "json_schema" else None,
    )


def _plain(content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text") or json.dumps(part) for part in content)


def _turn(message: dict[str, Any]) -> Turn:
    if message["role"] == "tool":
        return Turn("user", (ToolResult(message.get("tool_call_id", ""), _plain(message.get("content"))),))
    parts: list[Part] = []
    if text := _plain(message.get("content")):
        parts.append(Text(text))
    for call in message.get("tool_calls") or ():
        arguments = json.loads(call["function"]["arguments"] or "{}")
        parts.append(ToolCall(call["id"], call["function"]["name"], arguments))
    return Turn("assistant" if message["role"] == "assistant" else "user", tuple(parts))


def usage(reply: Reply) -> dict[str, int]:
    return {
        "prompt_tokens": reply.input_tokens,
        "completion_tokens": reply.output_tokens,
        "total_tokens": reply.input_tokens + reply.output_tokens,
    }


def completion(reply: Reply, model: str) -> dict[str, Any]:
    """The answer to a chat request that does not stream."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if reply.call:
        message["tool_calls"] = [_call(reply.call)]
    return {
        "id": f"chatcmpl-{secrets.token_hex(10)}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": _FINISH[reply.stop]}],
        "usage": usage(reply),
        "system_fingerprint": model,
    }


def _call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": json.dumps(call.input)},
    }


def chunks(reply: Reply, model: str, include_usage: bool, habit: str = "") -> Iterator[bytes]:
    """The answer to a chat request that streams. include_usage: of the request's stream_options; habit: habits.py's."""
    head = {
        "id": f"chatcmpl-{secrets.token_hex(10)}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": model,
    }

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return sse({**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]})

    yield chunk({"role": "assistant", "content": ""})
    words = list(pieces(reply.text)) if reply.text else []
    first = 1 if habit == "thinks between" else 0
    for piece in words[:first]:
        yield chunk({"content": piece})
    for piece in pieces(reply.thinking) if reply.thinking else ():
        yield chunk({"reasoning_content": piece})
    for piece in words[first:]:
        yield chunk({"content": piece})
    if reply.call and habit == "whole calls":
        yield chunk({"tool_calls": [{**_call(reply.call), "index": 0}]}, _FINISH[reply.stop])
    elif reply.call:
        call = _call(reply.call)
        named = {"id": call["id"], "type": "function"} if habit == "names each piece" else {}
        opened = {**call, "index": 0, "function": {"name": reply.call.name, "arguments": ""}}
        yield chunk({"tool_calls": [opened]})
        for piece in pieces(call["function"]["arguments"]):
            function = {"arguments": piece, **({"name": reply.call.name} if named else {})}
            yield chunk({"tool_calls": [{"index": 0, **named, "function": function}]})
    if not (reply.call and habit == "whole calls"):
        yield chunk({}, _FINISH[reply.stop])
    if include_usage:
        yield sse({**head, "choices": [], "usage": usage(reply)})
    yield DONE


def text_completion(reply: Reply, model: str) -> dict[str, Any]:
    """The answer to a plain completion request."""
    choice = {"index": 0, "text": reply.text, "logprobs": None, "finish_reason": _FINISH[reply.stop]}
    return {
        "id": f"cmpl-{secrets.token_hex(10)}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": model,
        "choices": [choice],
        "usage": usage(reply),
    }


def text_chunks(reply: Reply, model: str) -> Iterator[bytes]:
    """The same, streamed."""
    whole = text_completion(reply, model)
    head = {name: whole[name] for name in ("id", "object", "created", "model")}
    for piece in pieces(reply.text):
        yield sse({**head, "choices": [{"index": 0, "text": piece, "logprobs": None, "finish_reason": None}]})
    yield sse({**head, "choices": [{**whole["choices"][0], "text": ""}], "usage": whole["usage"]})
    yield DONE


def embeddings(inputs: list[str], model: str, dimensions: int = 8) -> dict[str, Any]:
    """One vector a text, of the digest of the text: the same text, the same vector."""
    data = []
    for index, text in enumerate(inputs):
        digest = hashlib.sha256(text.encode()).digest()[:dimensions]
        data.append({"object": "embedding", "index": index, "embedding": [byte / 255 - 0.5 for byte in digest]})
    asked = sum(tokens(text) for text in inputs)
    return {
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": asked, "total_tokens": asked},
    }

"""Gemini's generateContent: request to `Prompt`, `Reply` to JSON or events (https://ai.google.dev/api/generate-content)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.lab.simulators.model import Part, Prompt, Reply, Text, Tool, ToolCall, ToolResult, Turn, pieces
from tests.lab.simulators.protocol import sse

CHOICES = {"AUTO": "auto", "NONE": "none", "ANY": "any"}


def prompt(body: dict[str, Any], model: str) -> Prompt:
    """A request as the scripted model reads it. model: the one that answers."""
    declared = [each for tool in body.get("tools") or () for each in _of(tool, "functionDeclarations") or ()]
    calling = _of(_of(body, "toolConfig") or {}, "functionCallingConfig") or {}
    config = _of(body, "generationConfig") or {}
    return Prompt(
        model=model,
        turns=tuple(_turn(each) for each in body["contents"]),
        system="\n".join(part.get("text", "") for part in (_of(body, "systemInstruction") or {}).get("parts", ())),
        tools=tuple(
            Tool(t["name"], t.get("description") or "", t.get("parameters") or _of(t, "parametersJsonSchema") or {})
            for t in declared
        ),
        tool_choice=CHOICES.get(calling.get("mode", "AUTO"), "auto"),  # type: ignore[arg-type]
        max_tokens=_of(config, "maxOutputTokens"),
    )


def _of(body: dict[str, Any], name: str) -> Any:
    """A member, by its name in camel case or with underscores: Google's servers take both."""
    plain = "".join(f"_{each.lower()}" if each.isupper() else each for each in name)
    return body.get(name, body.get(plain))


def _turn(content: dict[str, Any]) -> Turn:
    parts: list[Part] = []
    for part in content["parts"]:
        if call := _of(part, "functionCall"):
            parts.append(ToolCall(call.get("id") or call["name"], call["name"], call.get("args") or {}))
        elif given := _of(part, "functionResponse"):
            response = given.get("response") or {}
            said = response.get("content", response.get("result", response.get("output")))
            parts.append(
                ToolResult(given.get("id") or given["name"], said if isinstance(said, str) else json.dumps(response))
            )
        elif "text" in part:
            parts.append(Text(part["text"]))
    return Turn("assistant" if content.get("role") == "model" else "user", tuple(parts))


def response(reply: Reply, model: str) -> dict[str, Any]:
    """The answer when it is not streamed."""
    parts = [{"text": reply.text}] if reply.text else []
    if reply.call:
        parts.append({"functionCall": {"name": reply.call.name, "args": reply.call.input}})  # type: ignore[dict-item]
    return _chunk(parts, model, reply, "MAX_TOKENS" if reply.stop == "length" else "STOP")


def events(reply: Reply, model: str) -> Iterator[bytes]:
    """The answer as server-sent events."""
    for piece in pieces(reply.text) if reply.text else ():
        yield sse(_chunk([{"text": piece}], model, reply, None))
    last = [{"functionCall": {"name": reply.call.name, "args": reply.call.input}}] if reply.call else [{"text": ""}]
    yield sse(_chunk(last, model, reply, "MAX_TOKENS" if reply.stop == "length" else "STOP"))


def _chunk(parts: list[Any], model: str, reply: Reply, reason: str | None) -> dict[str, Any]:
    candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
    return {
        "candidates": [candidate | ({"finishReason": reason} if reason else {})],
        "usageMetadata": {
            "promptTokenCount": reply.input_tokens,
            "candidatesTokenCount": reply.output_tokens,
            "totalTokenCount": reply.input_tokens + reply.output_tokens,
        },
        "modelVersion": model,
        "responseId": "lab",
    }

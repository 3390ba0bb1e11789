"""OpenAI's chat completions, for servers without an Anthropic endpoint: requests and answers in Anthropic's shape.

https://platform.openai.com/docs/api-reference/chat. It does what the gateway does for such a server, and no more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Json = dict[str, Any]
PATH = "/v1/chat/completions"
_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "function_call": "tool_use"}
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def request(body: Mapping[str, Any]) -> Json:
    """Return a request for /v1/messages as one for chat completions; fields that it does not know are left out."""
    asked: Json = {"model": body["model"], "max_tokens": body["max_tokens"], "messages": list(_messages(body))}
    if body.get("stream"):
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    if body.get("tools"):
        asked["tools"] = [{"type": "function", "function": _function(tool)} for tool in body["tools"]]
    if choice := body.get("tool_choice"):
        named = {"type": "function", "function": {"name": choice.get("name")}}
        asked["tool_choice"] = _CHOICES.get(choice["type"], named)
    return asked


def message(answer: Mapping[str, Any]) -> Json:
    """Return a whole answer as a message. Raises KeyError, IndexError or TypeError where it is none."""
    choice = answer["choices"][0]
    said = choice["message"]
    content: list[Json] = []
    if said.get("reasoning_content"):
        content.append({"type": "thinking", "thinking": said["reasoning_content"]})
    if said.get("content"):
        content.append({"type": "text", "text": said["content"]})
    for call in said.get("tool_calls") or ():
        content.append(_block(call["id"], call["function"]["name"], call["function"].get("arguments") or ""))
    return {
        "content": content,
        "stop_reason": _STOPS.get(str(choice.get("finish_reason"))),
        "usage": _usage(answer.get("usage") or {}),
    }


def events(chunks: Iterable[Mapping[str, Any]]) -> Iterator[Json]:
    """Yield a stream's chunks as the events of a message; message_stop only where the stream says why it ended."""
    yield {"type": "message_start", "message": {}}
    opened: dict[object, int] = {}
    stop: str | None = None
    used: Mapping[str, Any] = {}
    for chunk in chunks:
        if "error" in chunk:
            yield {"type": "error", "error": chunk["error"]}
        used = chunk.get("usage") or used
        for choice in chunk.get("choices") or ():
            for which, block, delta in _deltas(choice.get("delta") or {}):
                if which not in opened:
                    opened[which] = len(opened)
                    yield {"type": "content_block_start", "index": opened[which], "content_block": block}
                if delta:
                    yield {"type": "content_block_delta", "index": opened[which], "delta": delta}
            stop = choice.get("finish_reason") or stop
    for index in opened.values():
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": _STOPS.get(str(stop))}, "usage": _usage(used)}
    if stop:
        yield {"type": "message_stop"}


def _deltas(delta: Mapping[str, Any]) -> Iterator[tuple[object, Json, Json]]:
    """Yield what a delta goes on with: a name for its block, the block as it begins, and what is added."""
    for field, kind in (("reasoning_content", "thinking"), ("content", "text")):
        if delta.get(field):
            yield kind, {"type": kind, kind: ""}, {kind: delta[field]}
    for call in delta.get("tool_calls") or ():
        function = call.get("function") or {}
        begun = {"type": "tool_use", "id": call.get("id"), "name": function.get("name"), "input": {}}
        arguments = function.get("arguments")
        yield call.get("index"), begun, {"partial_json": arguments} if arguments else {}


def _messages(body: Mapping[str, Any]) -> Iterator[Json]:
    if system := _text(body.get("system") or ""):
        yield {"role": "system", "content": system}
    for turn in body["messages"]:
        blocks = turn["content"] if isinstance(turn["content"], list) else []
        for block in blocks:
            if block["type"] == "tool_result":
                yield {"role": "tool", "tool_call_id": block["tool_use_id"], "content": _text(block["content"])}
        calls = [
            {
                "id": block["id"],
                "type": "function",
                "function": {"name": block["name"], "arguments": json.dumps(block["input"])},
            }
            for block in blocks
            if block["type"] == "tool_use"
        ]
        text = _text(turn["content"])
        if text or calls:
            yield {"role": turn["role"], "content": text, **({"tool_calls": calls} if calls else {})}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(block["text"] for block in content if block["type"] == "text")


def _function(tool: Mapping[str, Any]) -> Json:
    return {"name": tool["name"], "description": tool.get("description", ""), "parameters": tool["input_schema"]}


def _block(identifier: str, name: str, arguments: str) -> Json:
    try:
        given = json.loads(arguments)
    except ValueError:
        given = {}
    return {"type": "tool_use", "id": identifier, "name": name, "input": given}


def _usage(usage: Mapping[str, Any]) -> Json:
    return {"input_tokens": usage.get("prompt_tokens"), "output_tokens": usage.get("completion_tokens")}

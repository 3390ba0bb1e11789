"""Bad habits that a simulated model can be given: what real servers and models do wrong, as the guides report it."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from typing import Any

from tests.lab.simulators.model import Prompt, Reply, Text, ToolCall, answer
from tests.lab.simulators.protocol import Answer, Refused

# "": none. Sources: guide 3, sections 3 and 8; "cuts calls" and "forgets" as users of small windows report them; "cuts
# prompts": Ollama's, where a model was loaded with less than is claimed. "strict": the server refuses what Claude Code
# sends beside the API that it knows. "grammar": as llama.cpp, and what is built on it, answer to a schema of which they
# can make no grammar (ggml-org/llama.cpp/issues/25746 and 26930). "strict roles": a system message behind the user's is
# refused, in each server's words. "text only": an image is, wherever in the conversation it stands. The last two speak
# well and cannot work.
HABITS = (
    "", "tools as text", "unused tokens", "empty", "ignores tool_choice", "cuts calls", "forgets", "cuts prompts",
    "strict", "grammar", "strict roles", "text only", "gives up", "boasts",
    # By public reports of 2026; see tests/drills/server_behaviours.py. How the stream of a call or a thought is shaped:
    "names each piece", "whole calls", "thinks between", "only thinks", "thinks on",
    # What of a conversation is refused:
    "own ids", "text results", "tools first", "no tools",
)  # fmt: skip
AGENT = {"Bash", "Read", "Edit"}  # tools that an agent offers, and a single question does not
REMEMBERED = 8192  # tokens of prompt that a server takes which "forgets" or "cuts prompts", whatever it claims


UNGRAMMATICAL = re.compile(r'"(?:pattern|format)": "|"maxLength": \\d{4}|"not": \\{')


def refuse_schemas(habit: str, body: Any) -> None:
    """Refuse a request one of whose tools has a schema of which the server makes no grammar."""
    for tool in (body.get("tools") or ()) if habit == "grammar" else ():
        schema = tool.get("input_schema") or (tool.get("function") or tool).get("parameters")
        if UNGRAMMATICAL.search(json.dumps(schema)):
            message = "Failed to initialize samplers: failed to parse grammar"
            raise Refused(Answer(400, {"error": {"code": 400, "message": message, "type": "invalid_request_error"}}))


def late_system(habit: str, body: Any) -> bool:
    """Return whether the server refuses a request for a system message that is not the first."""
    roles = [message.get("role") for message in body.get("messages") or ()]
    return habit == "strict roles" and "system" in roles[1:]


def unseen_image(habit: str, body: Any) -> bool:
    """Return whether the server refuses a request for an image in it, in any of the formats."""
    return habit == "text only" and bool(IMAGE.search(json.dumps(body.get("messages"))))


IMAGE = re.compile(r'"type": "image(?:_url)?"|"images": \[[^\]]')
EXTRAS = ("cache_control", "metadata", "thinking")


def refuse_extras(habit: str, body: object) -> None:
    """Refuse a request in Anthropic's format with fields that a strict server does not know."""
    if habit == "strict" and any(f'"{name}":' in json.dumps(body) for name in EXTRAS):
        error = {"type": "invalid_request_error", "message": "messages: Extra inputs are not permitted"}
        raise Refused(Answer(422, {"type": "error", "error": error}))


OWN_ID = re.compile(r"functions\.\w+:\d+")


def refused_words(habit: str, body: Any) -> str | None:
    """Return the words with which a server with this habit refuses a request; None: it takes it."""
    messages = body.get("messages") or []
    if habit == "no tools" and body.get("tools"):
        return "registry.ollama.ai/library/gemma4:26b-a4b does not support tools"
    if habit == "text results" and any(part.get("type") != "text" for part in _parts_of_results(messages)):
        return "Only text tool_result blocks are supported when tool_result.content is an array."
    if habit == "own ids" and (foreign := [each for each in _ids_of_results(messages) if not OWN_ID.fullmatch(each)]):
        return f"tool call id {foreign[0]} is not found in the conversation"
    if habit == "tools first" and (open_ids := _unanswered(messages)):
        return (
            "an assistant message with 'tool_calls' must be followed by tool messages responding to each"
            f" 'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(open_ids)}"
        )
    return None


def _results(messages: list[Any]) -> list[dict[str, Any]]:
    """Return the tool results of a conversation, in OpenAI's format or Anthropic's."""
    blocks = [
        block
        for message in messages
        for block in (message.get("content") if isinstance(message.get("content"), list) else ())
        if isinstance(block, dict) and block.get("type") == "tool_result"
    ]
    return [message for message in messages if message.get("role") == "tool"] + blocks


def _parts_of_results(messages: list[Any]) -> list[dict[str, Any]]:
    contents = [result.get("content") for result in _results(messages)]
    return [part for content in contents if isinstance(content, list) for part in content if isinstance(part, dict)]


def _ids_of_results(messages: list[Any]) -> list[str]:
    return [str(result.get("tool_call_id") or result.get("tool_use_id")) for result in _results(messages)]


def _unanswered(messages: list[Any]) -> list[str]:
    """Return the ids of calls, in OpenAI's format, that the messages right behind them do not answer."""
    for index, message in enumerate(messages):
        wanted = [call["id"] for call in message.get("tool_calls") or ()]
        following = messages[index + 1 : index + 1 + len(wanted)]
        answered = {each.get("tool_call_id") for each in following if each.get("role") == "tool"}
        if left := [each for each in wanted if each not in answered]:
            return left
    return []


def answer_with(habit: str, prompt: Prompt, server: str) -> Reply:
    """Return the model's reply, spoiled by its habit."""
    if habit == "ignores tool_choice" and prompt.tool_choice not in ("auto", "none"):
        prompt = replace(prompt, tool_choice="auto")
    if {tool.name for tool in prompt.tools} >= AGENT:
        asked = " ".join(part.text for turn in prompt.turns for part in turn.parts if isinstance(part, Text))
        if habit == "gives up":
            return Reply(prompt.tokens(), text="I do not know.")
        if habit == "boasts" and "fix app.py until the test passes" in asked:
            return Reply(prompt.tokens(), text="The test passes.")
    reply = answer(prompt, server)
    if habit == "cuts prompts":
        return replace(reply, input_tokens=min(reply.input_tokens, REMEMBERED))
    if habit == "empty":
        return Reply(reply.input_tokens)
    if habit in ("only thinks", "thinks on"):
        return Reply(reply.input_tokens, thinking="I must look.", stop="end" if habit == "only thinks" else "length")
    if habit == "thinks between" and reply.text:
        return replace(reply, thinking="It is a greeting.")
    if habit == "own ids" and reply.call:
        calls = sum(isinstance(part, ToolCall) for turn in prompt.turns for part in turn.parts)
        return replace(reply, call=replace(reply.call, id=f"functions.{reply.call.name}:{calls}"))
    if habit == "unused tokens":
        return Reply(reply.input_tokens, text="<unused24><unused49><unused24>")
    if reply.call is None:
        return reply
    if habit == "tools as text":
        told = json.dumps({"name": reply.call.name, "arguments": reply.call.input})
        return Reply(reply.input_tokens, text=f"<tool_call>{told}</tool_call>")
    if habit == "cuts calls":
        return Reply(reply.input_tokens, call=ToolCall(reply.call.id, reply.call.name, {}), stop="length")
    return reply


def context_with(habit: str, context: int) -> int:
    """Return how long a prompt may be that a server with this habit takes, of what it claims."""
    if habit == "cuts prompts":
        return sys.maxsize
    return min(context, REMEMBERED) if habit == "forgets" else context

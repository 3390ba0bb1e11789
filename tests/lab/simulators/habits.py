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

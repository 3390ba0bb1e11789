"""The scripted model behind every simulated server: the same conversation always gets the same reply.

It knows no wire format. A personality turns a request into a `Prompt` and a `Reply` into its vendor's answer.

- a line "run: CMD" (or "use the Bash tool to run `CMD`") from the user, with a Bash tool on offer: a call of Bash
  with that command; after the tool's result: a text that quotes the result.
- a task of `signalbox certify --agent`, with an agent's tools on offer: what coder.py does.
- a forced tool choice, or 'call the tool "NAME"': a call of that tool with the least input its JSON schema allows, or
  with the object of 'call the tool "NAME" with {…}'; after its result: a text that quotes it.
- a JSON schema for the answer: the least document it allows.
- "count to N": the numbers 1 to N, for answers of any length.
- anything else: "Hello from simulated SERVER (MODEL)."
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.lab.simulators import coder

CHARACTERS_A_TOKEN = 4
MAX_COUNT = 10_000
QUOTED_OUTPUT = 2_000  # characters of a tool's result that are repeated

_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)
# narrow on purpose: the prompts of agents are full of prose about running `things`
_QUOTED_COMMAND = re.compile(r"\bbash tool to run `([^`]+)`", re.IGNORECASE)
_COMMAND_LINE = re.compile(r"^[ \t]*run:[ \t]*(\S[^\n]*)", re.IGNORECASE | re.MULTILINE)
_COUNT = re.compile(r"\bcount to (\d{1,5})\b", re.IGNORECASE)
_NAMED_TOOL = re.compile(r'\bcall the tool "(\w+)"(?: with (\{[^\n]*\}))?', re.IGNORECASE)


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class ToolCall:
    id: str
    name: str
    input: dict[str, Any]


@dataclass(frozen=True)
class ToolResult:
    id: str
    text: str


Part = Text | ToolCall | ToolResult


@dataclass(frozen=True)
class Turn:
    role: Literal["system", "user", "assistant"]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Tool:
    name: str
    description: str
    schema: dict[str, Any]


@dataclass(frozen=True)
class Prompt:
    """What a model is asked, whatever the protocol.

    tool_choice: "auto", "none", "any" or, as ("tool", NAME), one tool by name.
    max_tokens: the longest reply in tokens; None: no limit.
    """

    model: str
    turns: tuple[Turn, ...]
    system: str = ""
    tools: tuple[Tool, ...] = ()
    tool_choice: Literal["auto", "none", "any"] | tuple[Literal["tool"], str] = "auto"
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    json_schema: dict[str, Any] | None = None
    thinking: bool = False

    def tokens(self) -> int:
        """The estimate that usage, token counting and context overflow all use."""
        parts = [self.system]
        parts += [_text_of(part) for turn in self.turns for part in turn.parts]
        parts += [tool.name + tool.description + json.dumps(tool.schema) for tool in self.tools]
        return tokens("".join(parts))


@dataclass(frozen=True)
class Reply:
    """thinking, then text, then at most one tool call; stop says why it ended."""

    input_tokens: int
    thinking: str = ""
    text: str = ""
    call: ToolCall | None = None
    stop: Literal["end", "tool", "length", "sequence"] = "end"
    stop_sequence: str | None = None
    output_tokens: int = field(init=False)

    def __post_init__(self) -> None:
        spoken = self.thinking + self.text + (json.dumps(self.call.input) if self.call else "")
        object.__setattr__(self, "output_tokens", tokens(spoken))


def tokens(text: str) -> int:
    """Tokens of a text, estimated; at least 1."""
    return max(1, math.ceil(len(text) / CHARACTERS_A_TOKEN))


def pieces(text: str, words: int = 2) -> Iterator[str]:
    """The text in the pieces in which it is streamed."""
    found = re.findall(r"\s*\S+|\s+\Z", text) or [text]
    for start in range(0, len(found), words):
        yield "".join(found[start : start + words])


@dataclass
class Saying:
    """What one request gets said: `instead` of the script's words, where it is set; `reply` once it is said.

    cached, written: how many of its tokens were read from the prompt cache, and written to it.
    """

    instead: str | None = None
    reply: Reply | None = None
    cached: int = 0
    written: int = 0


SAYING: ContextVar[Saying | None] = ContextVar("saying", default=None)


def answer(prompt: Prompt, server: str) -> Reply:
    """The one reply to this prompt. server: the name it gives itself, such as "LM Studio"."""
    saying = SAYING.get() or Saying()
    saying.reply = _scripted(prompt, server) if saying.instead is None else Reply(prompt.tokens(), text=saying.instead)
    return saying.reply


def _scripted(prompt: Prompt, server: str) -> Reply:
    who = f"simulated {server} ({prompt.model})"
    asked = prompt.tokens()
    thinking = f"{who} thinks." if prompt.thinking else ""
    step = _step(prompt)
    call = _called(prompt, *step) if isinstance(step, tuple) else None if step else _call(prompt)
    if call is not None:
        if prompt.max_tokens is not None and tokens(json.dumps(call.input)) > prompt.max_tokens:
            # a call that is cut off never gets its arguments
            return Reply(asked, thinking, call=ToolCall(call.id, call.name, {}), stop="length")
        return Reply(asked, thinking, call=call, stop="tool")
    text = step if isinstance(step, str) else _text(prompt, who)
    for sequence in prompt.stop:
        if sequence and sequence in text:
            return Reply(asked, thinking, text.split(sequence)[0], stop="sequence", stop_sequence=sequence)
    if prompt.max_tokens is not None and tokens(text) > prompt.max_tokens:
        return Reply(asked, thinking, text[: prompt.max_tokens * CHARACTERS_A_TOKEN], stop="length")
    return Reply(asked, thinking, text)


def least(schema: dict[str, Any]) -> Any:
    """The least JSON value that a JSON schema allows (of the keywords that tool schemas use)."""
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for union in ("anyOf", "oneOf", "allOf"):
        if schema.get(union):
            return least(schema[union][0])
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties = schema.get("properties") or {}
        return {name: least(properties.get(name, {})) for name in schema.get("required") or ()}
    if kind == "array":
        return [least(schema.get("items") or {}) for _ in range(schema.get("minItems", 0))]
    if kind in ("integer", "number"):
        return schema.get("minimum", 0)
    return {"boolean": False, "null": None}.get(kind, "x" * max(1, schema.get("minLength", 1)))


def _text_of(part: Part) -> str:
    if isinstance(part, ToolCall):
        return part.name + json.dumps(part.input)
    return part.text


def _newest(prompt: Prompt) -> list[Part]:
    """What the user side said since the model last spoke."""
    parts: list[Part] = []
    for turn in reversed(prompt.turns):
        if turn.role == "assistant":
            break
        if turn.role == "user":
            parts[:0] = turn.parts
    return parts


def _said(prompt: Prompt) -> str:
    spoken = "\n".join(part.text for part in _newest(prompt) if isinstance(part, Text))
    return _REMINDER.sub("", spoken)


def _step(prompt: Prompt) -> coder.Step | None:
    """What the script for an agent's tasks says next, of the whole conversation; None where it is no such task."""
    if not {"Bash", "Read", "Edit"} <= {tool.name for tool in prompt.tools} or prompt.tool_choice != "auto":
        return None
    parts = [part for turn in prompt.turns if turn.role == "user" for part in turn.parts]
    task = "\n".join(part.text for part in parts if isinstance(part, Text))
    return coder.step(_REMINDER.sub("", task).strip(), [part.text for part in parts if isinstance(part, ToolResult)])


def _call(prompt: Prompt) -> ToolCall | None:
    offered = {tool.name: tool for tool in prompt.tools}
    if prompt.tool_choice == "none" or not offered:
        return None
    result = any(isinstance(part, ToolResult) for part in _newest(prompt))
    said = _said(prompt)
    named = None
    command = _QUOTED_COMMAND.search(said) or _COMMAND_LINE.search(said)
    if isinstance(prompt.tool_choice, tuple):
        name = prompt.tool_choice[1]
    elif command and not result and "Bash" in offered:
        name = "Bash"
    elif named := _NAMED_TOOL.search(said):
        name = named[1]
    elif prompt.tool_choice == "any":
        name = prompt.tools[0].name
    else:
        return None
    if name not in offered:
        return None
    arguments = least(offered[name].schema)
    if named and named[2]:
        arguments = json.loads(named[2])
    elif name == "Bash" and command:
        arguments = {"command": command[1].strip()}
    return _called(prompt, name, arguments)


def _called(prompt: Prompt, name: str, arguments: dict[str, Any]) -> ToolCall:
    seed = f"{len(prompt.turns)} {name} {json.dumps(arguments)}"
    return ToolCall(hashlib.sha256(seed.encode()).hexdigest()[:24], name, arguments)


def _text(prompt: Prompt, who: str) -> str:
    if prompt.json_schema is not None:
        return json.dumps(least(prompt.json_schema))
    results = [part.text for part in _newest(prompt) if isinstance(part, ToolResult)]
    if results:
        return f"{who} saw the output: {results[-1].strip()[:QUOTED_OUTPUT]}"
    count = _COUNT.search(_said(prompt))
    if count:
        return " ".join(str(number) for number in range(1, min(int(count[1]), MAX_COUNT) + 1))
    return f"Hello from {who}."

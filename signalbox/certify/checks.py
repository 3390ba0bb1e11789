"""What a server must do for Claude Code: one function a row of the report."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from signalbox.certify.server import Json, Refused, Said, Server
from signalbox.desired import symptoms
from signalbox.host.doctor.check_speed import wanted
from signalbox.host.doctor.symptoms import explain

PASSED, FAILED, REMARK = "passed", "failed", "remark"
AGENT = "Claude Code: "  # how the rows begin in which it works itself
BASH = {
    "name": "Bash",
    "description": "Run a shell command and return what it prints.",
    "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
}
READ = {
    "name": "Read",
    "description": "Return the text of a file.",
    "input_schema": {"type": "object", "properties": {"file_path": {"type": "string"}}, "required": ["file_path"]},
}
WHOLE_STREAM = ("message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_stop")
LEAKS = re.compile(r"<unused\d+>")
WRITTEN_CALL = re.compile(r"<tool_call>|<function=|\[TOOL_CALLS\]|^\s*\{\s*\"(name|tool)\"", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """One row: what was looked at, its result, what was seen, and the symptom that it is ("" where it is none)."""

    name: str
    result: str
    seen: str
    symptom: str = ""


@dataclass(frozen=True)
class Target:
    """What is certified: a server, and the context that is claimed for its model, in tokens.

    forces_tools: whether the kind of server claims to obey tool_choice. silence: gateway.stream_timeout_seconds.
    """

    server: Server
    context: int
    forces_tools: bool = True
    silence: int = 120


Look = Callable[[Target], Row]
Begins = Callable[[str], AbstractContextManager[None]]
LOOKS: list[tuple[str, Look]] = []


def look(name: str) -> Callable[[Callable[[Target], Row | str]], Look]:
    """Register a row; a function that returns words has passed. What the server refuses fails the row."""

    def register(body: Callable[[Target], Row | str]) -> Look:
        def run(target: Target) -> Row:
            try:
                told = body(target)
            except Refused as error:
                known = explain(error.words, symptoms.known())
                return Row(name, FAILED, str(error), known[0].id if known else "smoke")
            return told if isinstance(told, Row) else Row(name, PASSED, told)

        LOOKS.append((name, run))
        return run

    return register


def rows(target: Target, begins: Begins = lambda _: nullcontext()) -> Iterator[Row]:
    """Yield all rows, none after two that had no answer at all: a server that hangs would hang in each.

    begins: is around each row, with its name; for progress.
    """
    silent = 0
    for name, run in LOOKS:
        with begins(name):
            row = run(target)
        yield row
        silent += row.seen.startswith("no answer")
        if silent == (1 if name == LOOKS[0][0] else 2):
            return


def bad_content(said: Said) -> tuple[str, str] | None:
    """Return the symptom and what was seen when an answer is one that breaks Claude Code; None when it is sound."""
    if LEAKS.search(said.text):
        return "unused-tokens", said.text[:120]
    if not said.calls and WRITTEN_CALL.search(said.text):
        return "tools-as-text", said.text[:120]
    if not said.content or not (said.text.strip() or said.calls or any(p.get("thinking") for p in said.content)):
        return "empty-response", "the answer has no content"
    return None


def _sound(name: str, said: Said) -> Row | None:
    bad = bad_content(said)
    return Row(name, FAILED, bad[1], bad[0]) if bad else None


@look("answers")
def answers(target: Target) -> Row | str:
    """Claude Code's simplest request."""
    said = target.server.ask("Say OK.")
    return _sound("answers", said) or f"{said.text.strip()[:80]!r}"


@look("streams")
def streams(target: Target) -> Row | str:
    """The events of a stream, whole and in order."""
    said = target.server.ask("Count to 20.", stream=True)
    missing = [kind for kind in WHOLE_STREAM if kind not in said.events]
    if missing and said.content:
        return Row("streams", FAILED, f"the stream has no {', '.join(missing)}", "empty-response")
    return _sound("streams", said) or f"{len(said.events)} kinds of events, {said.output_tokens} tokens"


@look("tool call, streamed, and its result")
def tool_round_trip(target: Target) -> Row | str:
    """A tool call as a tool_use block with its arguments, and an answer to the tool's result."""
    name = "tool call, streamed, and its result"
    asked: Json = {"role": "user", "content": "Use the Bash tool to run `echo signal-7`, then tell me what it printed."}
    said = target.server.ask([asked], stream=True, tools=[BASH, READ], max_tokens=1024)
    if bad := _sound(name, said):
        return bad
    calls = [call for call in said.calls if call.get("name") == "Bash"]
    if not calls:
        return Row(name, FAILED, f"no tool_use block; it says {said.text[:120]!r}", "tools-as-text")
    if said.stop == "max_tokens" or not (calls[0].get("input") or {}).get("command"):
        return Row(name, FAILED, f"the call has no command (stop_reason {said.stop})", "truncated-edits")
    result = {"type": "tool_result", "tool_use_id": calls[0]["id"], "content": "signal-7"}
    turns: list[Json] = [
        asked,
        {"role": "assistant", "content": list(said.content)},
        {"role": "user", "content": [result]},
    ]
    after = target.server.ask(turns, tools=[BASH, READ], max_tokens=1024)
    if bad := _sound(name, after):
        return bad
    if "signal-7" not in after.text and not after.calls:
        return Row(name, FAILED, f"it does not know the tool's result: {after.text[:120]!r}", "wrong-tool")
    return f"Bash {calls[0]['input']['command']!r}; {after.text.strip()[:60]!r}"


@look("tool_choice")
def tool_choice(target: Target) -> Row | str:
    """A forced call, by any tool and by one tool's name."""
    for choice in ({"type": "any"}, {"type": "tool", "name": "Read"}):
        said = target.server.ask("Good morning.", tools=[BASH, READ], tool_choice=choice, max_tokens=1024)
        if bad := _sound("tool_choice", said):
            return bad
        names = [call.get("name") for call in said.calls]
        if not names or ("name" in choice and set(names) != {choice["name"]}):
            # llama.cpp takes a tool by name for any tool: what it forces is that one is called.
            result = FAILED if target.forces_tools and not names else REMARK
            return Row("tool_choice", result, f"{choice} is not obeyed: it called {names or 'no tool'}", "wrong-tool")
        if said.stop == "max_tokens":
            return Row("tool_choice", FAILED, "the forced call was cut off", "truncated-edits")
    return "any and by name"


@look("parallel tools")
def parallel_tools(target: Target) -> Row | str:
    """Two calls in one answer: not needed, but each one less is a round trip more."""
    text = "Read /etc/hostname and /etc/os-release with the Read tool, both calls in one answer."
    said = target.server.ask(text, tools=[READ], max_tokens=1024)
    if bad := _sound("parallel tools", said):
        return bad
    count = len(said.calls)
    return f"{count} calls" if count > 1 else Row("parallel tools", REMARK, "one call at a time")


@look("count_tokens")
def count_tokens(target: Target) -> Row | str:
    """Claude Code asks how long a prompt is; without an answer it estimates."""
    try:
        few, many = target.server.count("word"), target.server.count("word " * 400)
    except Refused as error:
        return Row("count_tokens", REMARK, f"it does not count: {error}")
    if not few < many < 4000:
        return Row("count_tokens", FAILED, f"1 word is {few} tokens, 400 are {many}")
    return f"1 word is {few} tokens, 400 are {many}"


@look("context")
def context(target: Target) -> Row | str:
    """A prompt as long as is claimed, measured by what the server says of a shorter one, and its time."""
    room = target.context - 1024  # for the answer and the template
    sentence = "The signal at milestone 7 shows proceed, and the points are set for the branch line. "
    sample = target.server.ask(sentence * 100 + "Say OK.", max_tokens=64)
    each = (sample.input_tokens or len(sentence) * 100 / 4) / 100
    said = target.server.ask(sentence * max(1, int(room * 0.97 / each)) + "Say OK.", max_tokens=64, stream=True)
    if bad := _sound("context", said):
        return bad
    if said.input_tokens and said.input_tokens < room * 0.8:
        seen = f"the prompt was cut: {said.input_tokens} tokens arrived of about {room}"
        return Row("context", FAILED, seen, "context-small")
    if not said.input_tokens:
        return Row("context", REMARK, f"about {room} tokens were taken, but the server does not count what arrived")
    rate = said.input_tokens / max(said.first, 0.001)
    read = f"{said.input_tokens} tokens of {target.context} in {said.first:.1f} s, {rate:.0f} a second"
    if needed := wanted(target.context, rate, target.silence):
        slow = f"{read}: gateway.stream_timeout_seconds is {target.silence}, write {needed}"
        return Row("context", REMARK, slow, "slow-prefill")
    return read


@look("system message in mid-conversation")
def late_system(target: Target) -> Row | str:
    """Claude Code sends one to models that it does not know; lanes have it leave them out, and the gateway mends it."""
    name = "system message in mid-conversation"
    turns = [
        {"role": "user", "content": "Say OK."},
        {"role": "assistant", "content": "OK"},
        {"role": "system", "content": "Answer in English."},
        {"role": "user", "content": "Say OK again."},
    ]
    try:
        said = target.server.ask(turns)
    except Refused as error:
        words = "refused; lanes send none, but Claude Code by itself does (CLAUDE_CODE_MODEL_CAPABILITIES)"
        return Row(name, REMARK, f"{words}: {error}", "late-system")
    return _sound(name, said) or "accepted"


@look("schemas of tools")
def schemas(target: Target) -> Row | str:
    """An MCP tool's schema with a pattern; the gateway makes it plain, in a direct lane each request would fail."""
    name = "schemas of tools"
    date = {"type": "string", "pattern": "^(?!0000)\\d{4}-\\d{2}$", "format": "date"}
    schema = {"type": "object", "properties": {"of": {"type": "array", "items": date}}}
    tool = {"name": "Month", "description": "Return what happened in these months.", "input_schema": schema}
    try:
        said = target.server.ask("Say OK.", tools=[tool])
    except Refused as error:
        return Row(name, REMARK, f"refused, so use it through the gateway: {error}", "tools-grammar")
    return _sound(name, said) or "accepted"


@look("fields that Claude Code sends")
def fields(target: Target) -> Row | str:
    """cache_control, metadata and thinking must at least be ignored."""
    if target.server.openai:
        return Row("fields that Claude Code sends", REMARK, "not asked: the gateway takes them out for OpenAI's format")
    cached = {"type": "text", "text": "You are terse.", "cache_control": {"type": "ephemeral"}}
    metadata, thinking = {"user_id": "certify"}, {"type": "disabled"}
    said = target.server.ask("Say OK.", system=[cached], metadata=metadata, thinking=thinking)
    return _sound("fields that Claude Code sends", said) or "accepted"


@look("speed")
def speed(target: Target) -> Row | str:
    """Time to the first token and tokens a second, of a short prompt."""
    said = target.server.ask("Count to 200.", stream=True, max_tokens=512)
    if bad := _sound("speed", said):
        return bad
    rate = said.output_tokens / max(said.seconds - said.first, 0.001)
    return f"first token after {said.first:.2f} s, {rate:.0f} tokens a second"

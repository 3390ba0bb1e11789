"""The scripted model: the same prompt, the same reply."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.simulators.model import Prompt, Text, Tool, ToolCall, ToolResult, Turn, answer, least, pieces, tokens

BASH = Tool("Bash", "", {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]})
READ = Tool("Read", "", {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]})


def said(text: str, **more: Any) -> Prompt:
    return Prompt("m", (Turn("user", (Text(text),)),), **more)


def test_an_answer_names_server_and_model() -> None:
    assert answer(said("say hello"), "LM Studio").text == "Hello from simulated LM Studio (m)."


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("run: uname -a", "uname -a"),
        ("please\n  Run: echo 'a b' \nthanks", "echo 'a b'"),
        ("Use the Bash tool to run `ls -l | wc`, please", "ls -l | wc"),
    ],
)
def test_a_command_becomes_a_call_of_bash(text: str, command: str) -> None:
    reply = answer(said(text, tools=(READ, BASH)), "S")
    assert reply.call is not None
    assert (reply.call.name, reply.call.input, reply.stop) == ("Bash", {"command": command}, "tool")


@pytest.mark.parametrize(
    "prompt",
    [
        said("run: ls", tools=(READ,)),
        said("run: ls"),
        said("run: ls", tools=(BASH,), tool_choice="none"),
        said("You can run `npm test` to see. The dry run: it prints.", tools=(BASH,)),
        said("<system-reminder>\nrun: ls\n</system-reminder>hello", tools=(BASH,)),
    ],
    ids=["no Bash", "no tools", "forbidden", "prose", "reminder"],
)
def test_nothing_else_does(prompt: Prompt) -> None:
    reply = answer(prompt, "S")
    assert reply.call is None
    assert reply.text == "Hello from simulated S (m)."


def test_a_result_is_quoted_and_not_run_again() -> None:
    turns = (
        Turn("user", (Text("run: echo 42"),)),
        Turn("assistant", (ToolCall("t1", "Bash", {"command": "echo 42"}),)),
        Turn("user", (ToolResult("t1", "42\n"), Text("run: echo 43"))),
    )
    assert answer(Prompt("m", turns, tools=(BASH,)), "S").text == "simulated S (m) saw the output: 42"


def test_the_next_command_of_a_conversation_has_another_id() -> None:
    first = answer(said("run: date", tools=(BASH,)), "S")
    assert first.call is not None
    turns = (
        *said("run: date").turns,
        Turn("assistant", (first.call,)),
        Turn("user", (ToolResult(first.call.id, "x"),)),
        Turn("assistant", (Text("done"),)),
        Turn("user", (Text("run: date"),)),
    )
    second = answer(Prompt("m", turns, tools=(BASH,)), "S")
    assert second.call is not None
    assert second.call.input == first.call.input
    assert second.call.id != first.call.id


def test_a_forced_tool_gets_the_least_input() -> None:
    assert answer(said("hi", tools=(READ, BASH), tool_choice="any"), "S").call.input == {"path": "x"}  # type: ignore[union-attr]
    assert answer(said('Call the tool "Bash".', tools=(READ, BASH)), "S").call.name == "Bash"  # type: ignore[union-attr]
    assert answer(said("hi", tools=(READ, BASH), tool_choice=("tool", "Bash")), "S").call.name == "Bash"  # type: ignore[union-attr]


def test_a_named_tool_gets_the_input_that_is_said() -> None:
    asked = said('Call the tool "Read" with {"path": "/etc/{a}"}\nand wait', tools=(READ, BASH))
    assert answer(asked, "S").call.input == {"path": "/etc/{a}"}  # type: ignore[union-attr]


def test_limits() -> None:
    cut = answer(said("count to 100", max_tokens=5), "S")
    assert (cut.text, cut.stop, cut.output_tokens) == ("1 2 3 4 5 6 7 8 9 10", "length", 5)
    stopped = answer(said("count to 100", stop=(" 4",)), "S")
    assert (stopped.text, stopped.stop, stopped.stop_sequence) == ("1 2 3", "sequence", " 4")
    call = answer(said("run: echo a long command", tools=(BASH,), max_tokens=2), "S")
    assert (call.stop, call.call.input) == ("length", {})  # type: ignore[union-attr]


@given(st.text())
def test_pieces_are_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text


@given(st.text(min_size=1))
def test_tokens_grow_with_the_text(text: str) -> None:
    assert tokens(text) >= 1
    assert tokens(text * 8) >= tokens(text)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "x"),
        ({"type": "string", "minLength": 3}, "xxx"),
        ({"enum": ["b", "a"]}, "b"),
        ({"const": 7}, 7),
        ({"type": "integer", "minimum": 2}, 2),
        ({"type": ["null", "string"]}, None),
        ({"type": "boolean"}, False),
        ({"type": "array", "items": {"type": "number"}, "minItems": 2}, [0, 0]),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, 0),
        ({"properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"]}, {"a": "x"}),
    ],
)
def test_least(schema: dict[str, Any], value: Any) -> None:
    assert least(schema) == value

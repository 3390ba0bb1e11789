"""What is made of streams as some servers send them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from signalbox.host.gateway import stream_repair


def piece(arguments: str, ident: str | None = None, name: str | None = None, index: int = 0) -> Any:
    return SimpleNamespace(id=ident, index=index, function=SimpleNamespace(name=name, arguments=arguments))


def chunk(**delta: Any) -> Any:
    return SimpleNamespace(choices=[SimpleNamespace(delta=SimpleNamespace(**delta))])


def streamed(*chunks: Any) -> list[Any]:
    stream, mended = SimpleNamespace(), stream_repair.around(lambda _, chunk: chunk)
    return [mended(stream, chunk).choices[0].delta for chunk in chunks]


def test_pieces_with_the_id_of_the_open_call_are_of_that_call() -> None:
    calls = [
        call
        for delta in streamed(
            *(chunk(tool_calls=[piece(each, "call_1", "Bash")]) for each in ("", '{"com', 'mand": "ls"}')),
            chunk(tool_calls=[piece("{}", "call_2", "Read", index=1)]),
            chunk(tool_calls=[piece("{}", "call_3", "Read")]),
            chunk(tool_calls=[piece("more")]),
        )
        for call in delta.tool_calls
    ]
    names = [(call.id, call.function.name) for call in calls]
    assert names == [
        ("call_1", "Bash"),
        (None, None),
        (None, None),
        ("call_2", "Read"),
        ("call_3", "Read"),
        (None, None),
    ]
    assert "".join(call.function.arguments for call in calls[:3]) == '{"command": "ls"}'


def test_a_thought_comes_before_the_words_or_not_at_all() -> None:
    told = streamed(
        chunk(content="", reasoning_content="I must greet."),
        chunk(content="Hello"),
        chunk(content=None, reasoning_content="Well.", thinking_blocks=[{"thinking": "Well."}]),
        chunk(content=" there"),
    )
    assert [each.content for each in told] == ["", "Hello", None, " there"]
    assert (told[0].reasoning_content, told[2].reasoning_content, told[2].thinking_blocks) == (
        "I must greet.",
        None,
        None,
    )


def test_what_has_no_choices_passes() -> None:
    usage = SimpleNamespace(choices=[], usage=1)
    assert stream_repair.around(lambda _, chunk: chunk)(SimpleNamespace(), usage) is usage

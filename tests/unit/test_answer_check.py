"""What a local model says first is an answer, or the fallback is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.unit.gateway_plugins import plugins as plugins

TOOLS = [{"name": "Bash"}]


def said(*texts: str, stop: str = "end_turn") -> list[bytes]:
    """A stream as LiteLLM makes it of what a local model says."""
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {}}]
    events += [{"type": "content_block_start", "content_block": {"type": "text", "text": ""}}]
    events += [{"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}} for text in texts]
    events += [{"type": "message_delta", "delta": {"stop_reason": stop}}, {"type": "message_stop"}]
    return [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events]


CALLED = {"type": "content_block_start", "content_block": {"type": "tool_use", "name": "Bash", "input": {}}}
THOUGHT = {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "hm"}}


def converse(
    plugins: Any, chunks: Sequence[bytes], *, tools: bool = True, backend: str = "lmstudio", **more: Any
) -> Any:
    """Ask the model `local`, whose answer is this; return what the client got and which models were asked."""
    model = more.get("model", "local")
    asked: list[str] = []
    got: list[bytes] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        assert "parsed_body" not in scope
        scope["parsed_body"] = body = json.loads((await receive())["body"])
        assert dict(scope["headers"]).get(b"content-length") in (None, str(len(json.dumps(body))).encode())
        asked.append(body["model"])
        name = body["model"]
        first = name == model
        kind = more.get("kind", "text/event-stream").encode()
        own = f"{backend if first else 'cloud'}/{plugins.request_record.name_of(name)}"
        ident = more.get("answers", {}).get(name, own)
        headers = [(b"content-type", kind), (b"x-litellm-model-id", ident.encode())]
        status = more.get("status", 200) if first else more.get("broken", {}).get(name, 200)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for chunk in chunks if first else said(more.get("then", {}).get(name, "cloud")):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    body = json.dumps({"model": model, "messages": [], **({"tools": TOOLS} if tools else {}),
                       **({"disable_fallbacks": True} if more.get("alone") else {})}).encode()  # fmt: skip
    pieces = [body[:5], body[5:]]

    async def receive() -> Any:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            got.append(message["body"])

    scope = {"type": "http", "method": "POST", "path": "/v1/messages", "headers": []}
    fallbacks = more.get("fallbacks", {"local": ["haiku"]})

    def following(answered: list[str]) -> list[str]:
        names = [ident.partition("/")[2] for ident in answered]
        return [each for name in names for each in fallbacks.get(name, ()) if each not in names]

    asyncio.run(plugins.answer_check.around(application, following)(scope, receive, send))
    return b"".join(got), asked


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [""],
        ["  \n"],
        ["<unused24>"],
        ["<unu", "sed49> and so on"],
        ["\n<tool_call>", '{"name": "Bash"}'],
        ['{"name": ', '"Bash", "arguments": {"command": "ls"}}'],
        ["```json\n", '{"name": "Bash", "parameters": {}}', "\n```"],
        ["[TOOL_CALLS] [{}]"],
        # As people report them of gpt-oss, DeepSeek, Mistral, Claude-like and Gemini-like templates.
        ["<|channel|>", "commentary to=functions.Bash <|message|>{}"],
        ["analysis", "We need a tool.assistant", "commentary to=functions.Bash json{}"],
        ["<\uff5cDSML\uff5ctool_calls>"],
        ["<\uff5ctool\u2581calls\u2581begin\uff5c>"],
        ["Bash", "[ARGS]", '{"command": "ls"}'],
        ['<invoke name="Bash">'],
        ["<function_calls>"],
        ["<seed:tool_call>"],
        ["<minimax:", "tool_call>"],
        ["<|im_start|>assistant"],
        ["<think>I must look.", "</think>\n<tool_call>{}"],
        ['[{"name": "Bash", ', '"arguments": {}}]'],
        ["```tool", "_code\nprint(default_api.bash())\n```"],
    ],
)
def test_what_is_no_answer_is_asked_of_the_fallback(plugins: Any, texts: list[str]) -> None:
    got, asked = converse(plugins, said(*texts))
    assert (got, asked) == (b"".join(said("cloud")), ["local", "haiku"])


@pytest.mark.parametrize(
    "texts",
    [
        ["Hello"],
        ["Hello", " there"],
        ["analysis", " of this file"],
        ["Bash", "[0] is one"],
        ["<think>hm</think>", "Yes."],
        ["[", "1]"],
        ["<think>it goes on"],
        ["<", "b>bold</b>"],
        ["{", '"name": "Anna"}'],
        ["```", "python\nprint()"],
        ["`", "ls`"],
        ["{}"],
        ["["],
    ],
)
def test_an_answer_goes_out_as_it_is(plugins: Any, texts: list[str]) -> None:
    got, asked = converse(plugins, said(*texts))
    assert (got, asked) == (b"".join(said(*texts)), ["local"])


def test_calls_thoughts_and_errors_go_out_at_once(plugins: Any) -> None:
    error = {"type": "error", "error": {"type": "api_error", "message": ""}}
    for event in (CALLED, error):
        stream = [f"data: {json.dumps(event)}\n\n".encode()]
        assert converse(plugins, stream) == (stream[0], ["local"])
    thinking = f"data: {json.dumps(THOUGHT)}\n\n".encode()
    whole = [thinking, *said("Yes.")]
    assert converse(plugins, whole) == (b"".join(whole), ["local"])


@pytest.mark.parametrize("texts", [[], ["<tool", "_call>{}"], ['{"name": "Bash", "arguments": {}}']])
def test_what_is_none_after_a_thought_ends_in_an_error(plugins: Any, texts: list[str]) -> None:
    begun, *rest = said(*texts)
    thinking = f"data: {json.dumps(THOUGHT)}\n\n".encode()
    request = plugins.request_record.Request({"headers": []})
    plugins.request_record._current.set(request)
    try:
        got, asked = converse(plugins, [begun, thinking, *rest])
    finally:
        plugins.request_record._current.set(None)
    assert asked == ["local"]
    assert got.startswith(begun + thinking)
    assert b"message_stop" not in got
    assert got.rstrip().splitlines()[-2] == b"event: error"
    assert json.loads(got.rstrip().splitlines()[-1][5:])["error"]["type"] == "api_error"


# As people report them of models that say what they do, and then print what they should call
# (ggml-org/llama.cpp/issues/20260, jundot/omlx/issues/3153, selfagency/opilot/issues/149).
ENDINGS = (
    ["I will look.\n", '<tool_call>\n{"name": "Bash", "arguments": {}}\n', "</tool_call>"],
    ["I will look. <function=Bash><parameter=command>ls</parameter></function>"],
    ['Now:\n\n{"name": "Bash", "arguments": {"command": "ls"}}'],
    ['Now:\n```json\n{"name": "Bash", "parameters": {"command": "ls"}}\n```\n'],
    ['Done soon. Bash[ARGS]{"command": "ls"}'],
    ["look.<tool_call>{}</tool_call>"],  # what LiteLLM leaves of a thought behind Ollama
    ["First.", '<invoke name="Bash"><parameter name="command">ls</parameter></invoke>'],
    ["Well. <|channel|>commentary to=functions.Bash <|message|>{}"],
)
TEXTS = (
    ["Such models print `<tool_call>{}</tool_call>`"],
    ["It prints\n```\n<tool_call>{}</tool_call>\n```"],
    ['It prints <tool_call>{"name": "Bash"}</tool_call>, which is none.'],
    ["The tag is <tool_call>"],
    ['The file holds {"name": "Anna", "input": {}}'],
    ['```json\n{"name": "Anna", "parameters": {}}\n```'],
    ["See [1]"],
)


@pytest.mark.parametrize("texts", ENDINGS)
def test_what_ends_in_a_printed_call_ends_in_an_error_and_the_next_try_is_the_fallbacks(
    plugins: Any, texts: list[str]
) -> None:
    begun = said("Hm.", *texts)
    got, asked = converse(plugins, begun)
    assert asked == ["local"]
    assert got.startswith(b"".join(begun[:-2]))
    assert b"message_stop" not in got
    assert json.loads(got.rstrip().splitlines()[-1][5:])["error"]["type"] == "api_error"
    at_once = b"".join(begun)  # its words have not gone out when its end is there
    assert converse(plugins, [at_once]) == (b"".join(said("cloud")), ["local", "haiku"])
    message = {"type": "message", "content": [{"type": "text", "text": "".join(["Hm. ", *texts])}]}
    whole = json.dumps({**message, "stop_reason": "end_turn"}).encode()
    assert converse(plugins, [whole], kind="application/json")[1] == ["local", "haiku"]


@pytest.mark.parametrize("texts", TEXTS)
def test_what_speaks_of_a_call_goes_out(plugins: Any, texts: list[str]) -> None:
    stream = said("Hm.", *texts)
    assert converse(plugins, stream) == (b"".join(stream), ["local"])


@pytest.mark.parametrize("texts", ENDINGS)
def test_beside_a_real_call_without_tools_and_of_a_cloud_it_goes_out(plugins: Any, texts: list[str]) -> None:
    stream = said("Hm.", *texts)
    called = [stream[0], f"data: {json.dumps(CALLED)}\n\n".encode(), *stream[1:]]
    assert converse(plugins, called) == (b"".join(called), ["local"])
    assert converse(plugins, stream, tools=False) == (b"".join(stream), ["local"])
    assert converse(plugins, stream, backend="cloud") == (b"".join(stream), ["local"])
    assert converse(plugins, said("Hm.", *texts, stop="max_tokens"))[1] == ["local"]


def test_without_tools_a_printed_call_is_text(plugins: Any) -> None:
    stream = said('{"name": "Bash", "arguments": {}}')
    assert converse(plugins, stream, tools=False) == (b"".join(stream), ["local"])


def test_a_model_that_claude_code_has_from_the_gateways_list_is_judged_too(plugins: Any) -> None:
    name = f"claude-router-{b'local'.hex()}"  # so LiteLLM lists it to Claude Code
    assert converse(plugins, said("<unused24>"), model=name)[1] == [name, "haiku"]
    assert converse(plugins, said("<unused24>"), model="claude-router-other")[1] == ["claude-router-other"]


def test_an_answer_that_was_cut_short_may_be_empty(plugins: Any) -> None:
    assert converse(plugins, said(stop="max_tokens"))[1] == ["local"]


@pytest.mark.parametrize("more", [{"backend": "cloud"}, {"status": 400}])
def test_a_cloud_and_an_error_are_not_judged(plugins: Any, more: dict[str, Any]) -> None:
    assert converse(plugins, said("<unused24>"), **more) == (b"".join(said("<unused24>")), ["local"])


@pytest.mark.parametrize("texts", [["<unused24>"], [], ["<tool_call>{}"]])
def test_where_nobody_follows_it_is_no_answer_either(plugins: Any, texts: list[str]) -> None:
    got, asked = converse(plugins, said(*texts), fallbacks={})
    assert asked == ["local"]
    assert json.loads(got)["error"]["message"].startswith("the answer of local on lmstudio is none")


def test_a_check_of_a_local_model_sees_what_it_says(plugins: Any) -> None:
    assert converse(plugins, said("<unused24>"), alone=True) == (b"".join(said("<unused24>")), ["local"])


def test_each_fallback_is_tried_once_until_one_answers(plugins: Any) -> None:
    several = {"local": ["second", "third", "haiku"]}
    idents = {"second": "lmstudio/second"}
    junk = {"answers": idents, "then": {"second": "<unused24>"}, "broken": {"third": 503}, "fallbacks": several}
    assert converse(plugins, said("<unused24>"), **junk) == (
        b"".join(said("cloud")),
        ["local", "second", "third", "haiku"],
    )
    last = {"answers": idents, "then": {"second": "<unused24>"}, "fallbacks": {"local": ["second"]}}
    got, asked = converse(plugins, said("<unused24>"), **last)
    assert json.loads(got)["error"]["message"].startswith("the answer of second on lmstudio")  # nobody else to ask
    assert asked == ["local", "second"]


def test_the_model_that_answered_in_the_place_of_another_is_not_asked_again(plugins: Any) -> None:
    quota = {"model": "sonnet", "answers": {"sonnet": "lmstudio/local"}}
    assert converse(plugins, said("<unused24>"), **quota)[1] == ["sonnet", "haiku"]


def test_a_whole_answer_is_judged_too(plugins: Any) -> None:
    for content, asked in (([], ["local", "haiku"]), ([{"type": "text", "text": "hello"}], ["local"])):
        message = json.dumps({"type": "message", "content": content, "stop_reason": "end_turn"}).encode()
        assert converse(plugins, [message[:9], message[9:]], kind="application/json")[1] == asked


def test_the_audit_hears_of_it(plugins: Any) -> None:
    class Request:
        fallback: str | None = None
        error_class: str | None = None
        asks_for = print

    plugins.request_record._current.set(request := Request())
    try:
        converse(plugins, said("<unused24>"))
    finally:
        plugins.request_record._current.set(None)
    assert (request.fallback, request.error_class) == ("local", "malformed")


def test_a_request_that_a_rule_moves_goes_on_whole_to_its_model(plugins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    when = {"lane": None, "images": None, "tokens_over": None, "thinking": False}
    monkeypatch.setattr(plugins.rules, "RULES", [{"name": "no thinking", "when": when, "to": "claude-sonnet-4-6"}])
    request = plugins.request_record.Request({"headers": [(b"x-signalbox-lane", b"routed")]})
    with plugins.request_record.serving(request):
        got, asked = converse(plugins, said("local"), answers={"claude-sonnet-4-6": "cloud/claude-sonnet-4-6"})
    assert (b"cloud" in got, asked, request.asked, request.rule) == (
        True,
        ["claude-sonnet-4-6"],
        "local",
        "no thinking",
    )
    plugins.audit.plugin._heard(Exception(), answered=True)  # outside of a request: nothing
    with plugins.request_record.serving(request):
        plugins.audit.plugin._heard(Exception(), answered=True)
    assert request.fallback == "claude-sonnet-4-6"  # which failed, where another has answered

"""The simulated Claude API, as the official `anthropic` library sees it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, get_args

import anthropic
import pytest
import requests
from anthropic.types import AnthropicBetaParam, message_count_tokens_params, message_create_params

from tests.lab.simulators import Running, credentials, running
from tests.lab.simulators.personalities.anthropic_betas import BETAS
from tests.lab.simulators.wire.anthropic_schema import CountTokens, Messages

SONNET, OPUS, HAIKU = "claude-sonnet-4-6", "claude-opus-4-8", "claude-haiku-4-5"
KEY = credentials()["ANTHROPIC_DIRECT_KEY"]
HELLO = [{"role": "user", "content": "say hello"}]
BASH = {
    "name": "Bash",
    "description": "Runs a command.",
    "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
}
USE = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "a"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("simulators")) as simulators:
        yield simulators


OLD = {"anthropic-version": "2023-06-01"}  # what Claude Code and LiteLLM ask for; the library asks for the newest


@pytest.fixture(scope="module")
def connection(lab: Running) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=lab.anthropic, api_key=KEY, max_retries=0, timeout=20) as made:
        yield made


@pytest.fixture
def client(lab: Running, connection: anthropic.Anthropic) -> Iterator[anthropic.Anthropic]:
    lab.control.clear()
    yield connection
    lab.control.heal()


def ask(client: anthropic.Anthropic, **changes: Any) -> anthropic.types.Message:
    return client.messages.create(**{"model": SONNET, "max_tokens": 2048, "messages": HELLO} | changes)


def stream(client: anthropic.Anthropic, **changes: Any) -> anthropic.types.Message:
    with client.messages.stream(**{"model": SONNET, "max_tokens": 2048, "messages": HELLO} | changes) as events:
        return events.get_final_message()


def body_of(message: anthropic.types.Message) -> dict[str, Any]:
    """What two answers to one request have in common; the library adds None for what it did not get."""
    return {name: value for name, value in message.to_dict().items() if value is not None and name != "id"} | {
        "content": [(block.type, block.to_dict().get("text")) for block in message.content]
    }


both = pytest.mark.parametrize("way", [ask, stream])
Way = Callable[..., anthropic.types.Message]


# ---- answers ----


@both
@pytest.mark.parametrize("model", [SONNET, OPUS, HAIKU])
def test_text(client: anthropic.Anthropic, way: Way, model: str) -> None:
    message = way(client, model=model)
    assert message.content[0].to_dict()["text"] == f"Hello from simulated Anthropic ({model})."
    assert (message.stop_reason, message.role, message.model) == ("end_turn", "assistant", model)


@both
def test_usage_is_what_counting_says(client: anthropic.Anthropic, way: Way) -> None:
    asked: dict[str, Any] = {"system": "You are terse. " * 50, "tools": [BASH]}
    counted = client.messages.count_tokens(model=SONNET, messages=HELLO, **asked).input_tokens
    usage = way(client, **asked).usage
    assert usage.input_tokens == counted > 200
    assert usage.output_tokens == 13  # 51 characters


def test_a_stream_says_the_same(client: anthropic.Anthropic) -> None:
    asked = {"messages": [{"role": "user", "content": "count to 300"}]}
    assert body_of(stream(client, **asked)) == body_of(ask(client, **asked))


def test_the_events_of_a_stream(lab: Running) -> None:
    body = {"model": HAIKU, "max_tokens": 2048, "messages": HELLO, "stream": True}
    body |= {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    answer = requests.post(f"{lab.anthropic}/v1/messages", json=body, headers=OLD | {"x-api-key": KEY}, timeout=20)
    assert answer.headers["content-type"].startswith("text/event-stream")
    names = re.findall(r"^event: (.*)$", answer.text, re.MULTILINE)
    assert re.findall(r'"type":"(\w+)"', "".join(re.findall(r'^data: (\{"type":"\w+")', answer.text, re.M))) == names
    block = ["content_block_start", "content_block_delta", "content_block_stop"]
    assert (
        [name for name, before in zip(names, ["", *names], strict=False) if name != before]
        == [
            "message_start",
            block[0],
            "ping",  # after the first block has begun
            *block[1:],
            *block,
            "message_delta",
            "message_stop",
        ]
    )


@both
def test_tool_round_trip(client: anthropic.Anthropic, way: Way) -> None:
    conversation: list[Any] = [{"role": "user", "content": "run: echo 42"}]
    message = way(client, messages=conversation, tools=[BASH])
    call = message.content[-1]
    assert isinstance(call, anthropic.types.ToolUseBlock)
    assert (message.stop_reason, call.name, call.input) == ("tool_use", "Bash", {"command": "echo 42"})
    conversation += [
        {"role": "assistant", "content": [block.to_dict() for block in message.content]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "42"}]},
    ]
    for block in conversation[1]["content"]:
        block.pop("parsed_output", None)
    told = way(client, messages=conversation, tools=[BASH])
    assert told.content[0].to_dict()["text"] == f"simulated Anthropic ({SONNET}) saw the output: 42"


@both
def test_forced_tool(client: anthropic.Anthropic, way: Way) -> None:
    message = way(client, tools=[BASH], tool_choice={"type": "tool", "name": "Bash"})
    assert [block.type for block in message.content] == ["tool_use"]
    assert message.content[0].to_dict()["input"] == {"command": "x"}


@both
def test_thinking_comes_back_unchanged(client: anthropic.Anthropic, way: Way) -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    message = way(client, model=HAIKU, thinking=thinking)
    block = message.content[0].to_dict()
    assert [b.type for b in message.content] == ["thinking", "text"]
    again = [*HELLO, {"role": "assistant", "content": [block]}, *HELLO]
    assert ask(client, model=HAIKU, messages=again).content[0].type == "text"
    changed = [*HELLO, {"role": "assistant", "content": [{**block, "thinking": "no"}]}, *HELLO]
    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature` in `thinking` block"):
        ask(client, model=HAIKU, messages=changed)


def test_json_output(client: anthropic.Anthropic) -> None:
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    message = ask(client, output_config={"format": {"type": "json_schema", "schema": schema}})
    assert message.content[0].to_dict()["text"] == '{"title": "x"}'


@both
def test_limits(client: anthropic.Anthropic, way: Way) -> None:
    message = way(client, max_tokens=3)
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 3)
    stopped = way(client, stop_sequences=[" simulated"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", " simulated")
    assert stopped.content[0].to_dict()["text"] == "Hello from"


def test_models(client: anthropic.Anthropic) -> None:
    assert [model.id for model in client.models.list(limit=1)] == [OPUS, SONNET, "claude-haiku-4-5-20251001"]
    first = client.models.list(limit=2)
    assert (first.has_more, first.first_id, first.last_id) == (True, OPUS, SONNET)
    assert [m.id for m in client.models.list(before_id=SONNET)] == [OPUS]
    info = client.models.retrieve(HAIKU)
    assert (info.id, info.display_name, info.lifecycle) == ("claude-haiku-4-5-20251001", "Claude Haiku 4.5", "active")
    with pytest.raises(anthropic.NotFoundError, match="model: claude-9"):
        client.models.retrieve("claude-9")


def test_headers(client: anthropic.Anthropic) -> None:
    raw = client.messages.with_raw_response.create(model=SONNET, max_tokens=10, messages=HELLO)  # type: ignore[arg-type]
    assert raw.headers["anthropic-ratelimit-requests-limit"] == "1000"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", raw.headers["anthropic-ratelimit-tokens-reset"])
    first, second = ask(client)._request_id, ask(client)._request_id
    assert first is not None
    assert first.startswith("req_")
    assert first != second


def test_a_bearer_token_is_a_key_too(lab: Running, client: anthropic.Anthropic) -> None:
    by_token = client.copy(auth_token=KEY)
    by_token.api_key = None
    assert ask(by_token).stop_reason == "end_turn"
    assert "x-api-key" not in lab.control.requests()[-1]["headers"]


# ---- what is refused ----


@pytest.mark.parametrize(
    ("headers", "status", "kind", "message"),
    [
        ({}, 401, "authentication_error", "x-api-key header is required"),
        ({"x-api-key": "sk-ant-wrong"}, 401, "authentication_error", "invalid x-api-key"),
        ({"authorization": "Bearer wrong"}, 401, "authentication_error", "Invalid bearer token"),
        (
            {"x-api-key": KEY, "anthropic-version": ""},
            400,
            "invalid_request_error",
            "anthropic-version: header is required",
        ),
        (
            {"x-api-key": KEY, "anthropic-version": "2020-01-01"},
            400,
            "invalid_request_error",
            'anthropic-version: "2020-01-01" is not a valid version',
        ),
        (
            {"x-api-key": KEY, "anthropic-beta": "made-up-2026-01-01,files-api-2025-04-14"},
            400,
            "invalid_request_error",
            "Unexpected value(s) `made-up-2026-01-01` for the `anthropic-beta` header. Please consult our "
            "documentation at docs.claude.com or try again without the header.",
        ),
    ],
    ids=["no key", "wrong key", "wrong token", "no version", "unknown version", "unknown beta"],
)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_headers_that_are_refused(
    lab: Running, path: str, headers: dict[str, str], status: int, kind: str, message: str
) -> None:
    sent = {"anthropic-version": "2023-06-01"} | headers
    body = {"model": SONNET, "messages": HELLO} | ({"max_tokens": 10} if path == "/v1/messages" else {})
    answer = requests.post(lab.anthropic + path, json=body, headers=sent, timeout=20)
    assert answer.status_code == status
    told = answer.json()
    assert told["request_id"] == answer.headers["request-id"]
    assert told == {"type": "error", "error": {"type": kind, "message": message}, "request_id": told["request_id"]}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


TEXT = {"type": "text", "text": "hi"}
CACHED = {**TEXT, "cache_control": {"type": "ephemeral"}}
PREFILL = "This model does not support assistant message prefill. The conversation must end with a user message."
DOCS = "https://docs.claude.com/en/docs/build-with-claude/extended-thinking#max-tokens-and-context-window-size"

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown field": ({"foo": 1}, "foo: Extra inputs are not permitted"),
    "no max_tokens": ({"max_tokens": None}, "max_tokens: Field required"),
    "text for a number": ({"max_tokens": "5"}, "max_tokens: Input should be a valid integer"),
    "negative limit": ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to 0"),
    "over the limit": (
        {"max_tokens": 64001},
        f"max_tokens: 64001 > 64000, which is the maximum allowed number of output tokens for {SONNET}",
    ),
    "no messages": ({"messages": None}, "messages: Field required"),
    "empty messages": (
        {"messages": []},
        "messages: List should have at least 1 item after validation, not 0",
    ),
    "unknown role": (
        {"messages": [{"role": "tool", "content": "x"}]},
        "messages.0.role: Input should be 'user', 'assistant' or 'system'",
    ),
    "system first": (
        {"messages": [{"role": "system", "content": "x"}, *HELLO]},
        'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, not "system" as '
        "an input message role.",
    ),
    "system later": (
        {"messages": [*HELLO, {"role": "system", "content": "x"}]},
        "role 'system' is not supported on this model",
    ),
    "system not before assistant": (
        {"model": OPUS, "messages": [*HELLO, {"role": "system", "content": "x"}, *HELLO]},
        "messages.1: role 'system' must precede an 'assistant' message or end the array",
    ),
    "content of another type": (
        {"messages": [{"role": "user", "content": 5}]},
        "messages.0.content: Input should be a valid list",
    ),
    "unknown block": (
        {"messages": [user({"type": "video"})]},
        "messages.0.content.0: Input tag 'video' found using 'type' does not match any of the expected tags: 'text', "
        "'image', 'document', 'search_result', 'thinking', 'redacted_thinking', 'tool_use', 'tool_result'",
    ),
    "unknown field of a block": (
        {"messages": [user({**TEXT, "foo": 1})]},
        "messages.0.content.0.text.foo: Extra inputs are not permitted",
    ),
    "empty text": (
        {"messages": [user({"type": "text", "text": ""})]},
        "messages: text content blocks must be non-empty",
    ),
    "blank text": (
        {"messages": [user({"type": "text", "text": " \n"})]},
        "messages: text content blocks must contain non-whitespace text",
    ),
    "empty message": (
        {"messages": [user(), *HELLO]},
        "messages.0: all messages must have non-empty content except for the optional final assistant message",
    ),
    "prefill": ({"messages": [*HELLO, assistant(TEXT)]}, PREFILL),
    "five cache breakpoints": (
        {"messages": [user(*[CACHED] * 5)]},
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    "unknown cache": (
        {"messages": [user({**TEXT, "cache_control": {"type": "ephemeral", "ttl": "2h"}})]},
        "messages.0.content.0.text.cache_control.ttl: Input should be '5m' or '1h'",
    ),
    "unknown field of system": (
        {"system": [{**TEXT, "foo": 1}]},
        "system.0.foo: Extra inputs are not permitted",
    ),
    "unanswered call": (
        {"messages": [*HELLO, assistant(USE), *HELLO], "tools": [BASH]},
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1. Each `tool_use` "
        "block must have a corresponding `tool_result` block in the next message.",
    ),
    "result after text": (
        {"messages": [*HELLO, assistant(USE), user(TEXT, RESULT)], "tools": [BASH]},
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1. Each `tool_use` "
        "block must have a corresponding `tool_result` block in the next message.",
    ),
    "result without a call": (
        {"messages": [user(RESULT)]},
        "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: t1. Each `tool_result` block "
        "must have a corresponding `tool_use` block in the previous message.",
    ),
    "one id for two calls": (
        {"messages": [*HELLO, assistant(USE, USE), user(RESULT)], "tools": [BASH]},
        "messages.1.content.1: `tool_use` ids must be unique",
    ),
    "id with a dot": (
        {"messages": [*HELLO, assistant({**USE, "id": "a.b"}), user({**RESULT, "tool_use_id": "a.b"})]},
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
    ),
    "tool without schema": (
        {"tools": [{"name": "Bash"}]},
        "tools.0.custom.input_schema: Field required",
    ),
    "tool name": (
        {"tools": [{**BASH, "name": "two words"}]},
        "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
    ),
    "schema of another type": (
        {"tools": [{**BASH, "input_schema": {"type": "array"}}]},
        "tools.0.custom.input_schema.type: Input should be 'object'",
    ),
    "schema with anyOf": (
        {"tools": [{**BASH, "input_schema": {"type": "object", "anyOf": []}}]},
        "tools.0.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level",
    ),
    "property name": (
        {"tools": [{**BASH, "input_schema": {"type": "object", "properties": {"filter[id]": {}}}}]},
        "tools.0.custom.input_schema.properties: Property keys should match pattern '^[a-zA-Z0-9_.-]{1,64}$'",
    ),
    "unknown field of a tool": (
        {"tools": [{**BASH, "function": {}}]},
        "tools.0.custom.function: Extra inputs are not permitted",
    ),
    "two tools of one name": ({"tools": [BASH, BASH]}, "tools: Tool names must be unique."),
    "choice without tools": (
        {"tool_choice": {"type": "any"}},
        "tool_choice: may only be specified while providing tools",
    ),
    "choice of an absent tool": (
        {"tools": [BASH], "tool_choice": {"type": "tool", "name": "Read"}},
        "Tool 'Read' not found in provided tools",
    ),
    "unknown choice": (
        {"tools": [BASH], "tool_choice": {"type": "required"}},
        "tool_choice: Input tag 'required' found using 'type' does not match any of the expected tags: 'auto', 'any', "
        "'tool', 'none'",
    ),
    "small budget": (
        {"thinking": {"type": "enabled", "budget_tokens": 1023}},
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
    ),
    "budget above the limit": (
        {"thinking": {"type": "enabled", "budget_tokens": 4096}},
        "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at " + DOCS,
    ),
    "budget on a model without": (
        {"model": OPUS, "thinking": {"type": "enabled", "budget_tokens": 1024}},
        '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
        '"output_config.effort" to control thinking behavior.',
    ),
    "adaptive on a model without": (
        {"model": HAIKU, "thinking": {"type": "adaptive"}},
        "adaptive thinking is not supported on this model",
    ),
    "effort on a model without": (
        {"model": HAIKU, "output_config": {"effort": "high"}},
        "This model does not support the effort parameter.",
    ),
    "unknown effort": (
        {"output_config": {"effort": "huge"}},
        "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'",
    ),
    "temperature with thinking": (
        {"thinking": {"type": "adaptive"}, "temperature": 0.5},
        "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode. Please consult our "
        "documentation at https://platform.claude.com/docs/en/build-with-claude/extended-thinking",
    ),
    "forced tool with thinking": (
        {
            "tools": [BASH],
            "tool_choice": {"type": "any"},
            "thinking": {"type": "enabled", "budget_tokens": 1024},
        },
        "Thinking may not be enabled when tool_choice forces tool use.",
    ),
    "temperature": ({"temperature": 1.5}, "temperature: Input should be less than or equal to 1"),
    "beta field without its beta": (
        {"context_management": {"edits": []}},
        "context_management: Extra inputs are not permitted",
    ),
    "prompt that does not fit": (
        {"messages": [{"role": "user", "content": "x" * 800_004}]},
        "prompt is too long: 200001 tokens > 200000 maximum",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bodies_that_are_refused(client: anthropic.Anthropic, name: str) -> None:
    changes, message = REFUSED[name]
    body = {"model": SONNET, "max_tokens": 2048, "messages": HELLO} | changes
    with pytest.raises(anthropic.BadRequestError) as refused:
        client.with_options(default_headers=OLD).post(
            "/v1/messages", body={k: v for k, v in body.items() if v is not None}, cast_to=object
        )
    assert refused.value.api_message == message
    assert refused.value.type == "invalid_request_error"
    assert refused.value.request_id


def test_bodies_that_are_no_request(lab: Running) -> None:
    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    for data, message in (
        (b"{", "The request body is not valid JSON: "),
        (b"[]", "Input should be a valid dictionary"),
    ):
        answer = requests.post(f"{lab.anthropic}/v1/messages", data=data, headers=headers, timeout=20)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"].startswith(message)
    large = requests.post(
        f"{lab.anthropic}/v1/messages", data=b" " * (32 * 1024 * 1024 + 1), headers=headers, timeout=30
    )
    assert (large.status_code, large.json()["error"]["type"]) == (413, "request_too_large")
    lost = requests.get(f"{lab.anthropic}/v1/nowhere", headers=headers, timeout=20)
    assert (lost.status_code, lost.json()["error"]["type"]) == (404, "not_found_error")
    wrong = requests.get(f"{lab.anthropic}/v1/messages", headers=headers, timeout=20)
    assert wrong.status_code == 405


def test_an_unknown_model(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as refused:
        ask(client, model="local")
    assert refused.value.api_message == "model: local"


def test_counting_refuses_what_it_does_not_need(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="max_tokens: Extra inputs are not permitted"):
        client.messages.count_tokens(model=SONNET, messages=HELLO, extra_body={"max_tokens": 5})  # type: ignore[arg-type]


# ---- what must not be refused ----

ACCEPTED: dict[str, dict[str, Any]] = {
    "system blocks, cached": {"system": [CACHED, {**CACHED, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
    "two user messages in a row": {"messages": [*HELLO, *HELLO]},
    "call with result and text": {"messages": [*HELLO, assistant(TEXT, USE), user(RESULT, TEXT)], "tools": [BASH]},
    "results in two messages": {
        "messages": [*HELLO, assistant(USE, {**USE, "id": "t2"}), user(RESULT), user({**RESULT, "tool_use_id": "t2"})],
        "tools": [BASH],
    },
    "result of blocks, an error": {
        "messages": [*HELLO, assistant(USE), user({**RESULT, "content": [TEXT], "is_error": True})],
        "tools": [BASH],
    },
    "empty result": {"messages": [*HELLO, assistant(USE), user({"type": "tool_result", "tool_use_id": "t1"})]},
    "system before assistant": {
        "model": OPUS,
        "messages": [*HELLO, {"role": "system", "content": "x"}, assistant(TEXT), *HELLO],
    },
    "system after a result": {
        "model": OPUS,
        "messages": [*HELLO, assistant(USE), user(RESULT), {"role": "system", "content": [TEXT]}],
        "tools": [BASH],
    },
    "prefill on haiku": {"model": HAIKU, "messages": [*HELLO, assistant(TEXT)]},
    "server tool": {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 5}]},
    "adaptive with effort": {
        "thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {"effort": "high"},
    },
    "image": {
        "messages": [user({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}})]
    },
    "metadata": {"metadata": {"user_id": "u"}, "service_tier": "auto", "temperature": 0},
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_bodies_that_are_accepted(client: anthropic.Anthropic, name: str) -> None:
    body = {"model": SONNET, "max_tokens": 2048, "messages": HELLO} | ACCEPTED[name]
    old = client.with_options(default_headers=OLD)
    assert old.post("/v1/messages", body=body, cast_to=anthropic.types.Message).type == "message"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0}, "temperature: Extra inputs are not permitted"),
        ({"top_p": 0.5}, "top_p: Extra inputs are not permitted"),
        ({"top_k": 5}, "top_k: Extra inputs are not permitted"),
        (
            {"messages": [*HELLO, assistant({"type": "document", "source": {"type": "text", "data": "x"}}), *HELLO]},
            "messages.1.content.0: `document` blocks are not permitted in assistant messages",
        ),
        (
            {"messages": [user({**TEXT, "citations": [{"type": "char_location"}]})]},
            "messages.0.content.0.text.citations: Extra inputs are not permitted",
        ),
    ],
    ids=["temperature", "top_p", "top_k", "document", "citations"],
)
def test_the_newest_version_takes_less(client: anthropic.Anthropic, changes: dict[str, Any], message: str) -> None:
    body = {"model": SONNET, "max_tokens": 9, "messages": HELLO} | changes
    assert client.with_options(default_headers=OLD).post("/v1/messages", body=body, cast_to=object)
    with pytest.raises(anthropic.BadRequestError) as refused:
        client.post("/v1/messages", body=body, cast_to=object)
    assert refused.value.api_message == message


def test_a_beta_turns_its_fields_on(client: anthropic.Anthropic) -> None:
    message = client.beta.messages.create(
        model=SONNET,
        max_tokens=10,
        messages=[{"role": "user", "content": "hi"}],
        betas=["context-management-2025-06-27", "claude-code-20250219"],
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    )
    assert message.stop_reason == "max_tokens"


@pytest.mark.parametrize(
    ("shape", "parameters"),
    [
        (Messages, message_create_params.MessageCreateParamsNonStreaming),
        (CountTokens, message_count_tokens_params.MessageCountTokensParams),
    ],
)
def test_every_parameter_of_the_official_library_is_known(shape: Any, parameters: Any) -> None:
    """A newer library that knows more than the simulator makes this fail: then the simulator learns it."""
    sent_as_headers = {"user_profile_id", "workspace_id"}
    assert set(parameters.__annotations__) - sent_as_headers <= set(shape.model_fields)


def test_every_beta_of_the_official_library_is_known() -> None:
    """Likewise."""
    assert set(get_args(get_args(AnthropicBetaParam)[1])) <= BETAS


# ---- failures ----


@both
@pytest.mark.parametrize(
    ("kind", "error", "status", "name", "message"),
    [
        ("401", anthropic.AuthenticationError, 401, "authentication_error", "invalid x-api-key"),
        (
            "429",
            anthropic.RateLimitError,
            429,
            "rate_limit_error",
            "This request would exceed your account's rate limit. Please try again later.",
        ),
        ("500", anthropic.InternalServerError, 500, "api_error", "Internal server error"),
        ("503", anthropic.ServiceUnavailableError, 503, "api_error", "Service Unavailable"),
        ("529", anthropic.OverloadedError, 529, "overloaded_error", "Overloaded"),
        (
            "overflow",
            anthropic.BadRequestError,
            400,
            "invalid_request_error",
            "prompt is too long: 200003 tokens > 200000 maximum",
        ),
    ],
)
def test_statuses(
    lab: Running,
    client: anthropic.Anthropic,
    way: Way,
    kind: str,
    error: type[anthropic.APIStatusError],
    status: int,
    name: str,
    message: str,
) -> None:
    lab.control.fault("anthropic", kind, times=1, retry_after=7)
    with pytest.raises(error) as failed:
        way(client)
    told = failed.value
    assert (told.status_code, told.type, told.api_message) == (status, name, message)
    assert told.response.headers.get("retry-after") == ("7" if kind == "429" else None)
    assert told.request_id == told.response.headers["request-id"]
    assert way(client).stop_reason == "end_turn"  # one time is over


@both
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("refuse", anthropic.APIConnectionError),
        ("drop", anthropic.APIConnectionError),
        ("hang", anthropic.APITimeoutError),
    ],
)
def test_no_answer(
    lab: Running, client: anthropic.Anthropic, way: Way, kind: str, error: type[anthropic.APIConnectionError]
) -> None:
    lab.control.fault("anthropic", kind)
    with pytest.raises(error):
        way(client.with_options(timeout=1))
    lab.control.heal("anthropic")
    assert way(client).stop_reason == "end_turn"


def test_an_answer_that_is_cut(lab: Running, client: anthropic.Anthropic) -> None:
    lab.control.fault("anthropic", "cut", after_chunks=4)
    seen = []
    # the library hands on what its HTTP client raises in the middle of a stream
    with pytest.raises(Exception, match="incomplete chunked read"):  # noqa: PT012 (the loop is what fails)
        for event in client.messages.create(model=SONNET, max_tokens=99, messages=HELLO, stream=True):  # type: ignore[call-overload]
            seen.append(event.type)
    assert seen == ["message_start", "content_block_start", "content_block_delta"]  # and a ping
    with pytest.raises(anthropic.APIConnectionError):
        ask(client)


def test_an_answer_that_stalls(lab: Running, client: anthropic.Anthropic) -> None:
    lab.control.fault("anthropic", "stall", after_chunks=4)
    seen = []
    with pytest.raises(Exception, match="timed out"):  # noqa: PT012
        for event in client.with_options(timeout=1).messages.create(  # type: ignore[call-overload]
            model=SONNET, max_tokens=99, messages=HELLO, stream=True
        ):
            seen.append(event.type)
    assert seen[-1] == "content_block_delta"


def test_a_stream_that_fails_says_so(lab: Running, client: anthropic.Anthropic) -> None:
    lab.control.fault("anthropic", "529", after_chunks=4)
    with pytest.raises(anthropic.APIStatusError) as failed:
        stream(client)
    assert failed.value.type == "overloaded_error"
    assert failed.value.response.status_code == 200

"""Each deployment gets a request that it can take."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from tests.unit.gateway_plugins import plugins as plugins

REMINDER = {"type": "text", "text": "<system-reminder>\nnow\n</system-reminder>"}
LATE = {"role": "system", "content": "now"}
RESULT = {"type": "tool_result", "tool_use_id": "a", "content": "42"}
CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "Bash", "input": {}}]}
FOUNDRY = {"claude": True, "refuses": ["late_system", "efforts", "betas"]}


def test_the_time_to_connect_is_bounded(plugins: Any) -> None:
    rewritten = plugins.request_rewriting.rewritten
    assert rewritten({"timeout": 120.0}, {"probe_url": "http://x"})["timeout"] == httpx.Timeout(120.0, connect=3.0)
    assert rewritten({"timeout": 120.0}, {})["timeout"] == httpx.Timeout(120.0, connect=5.0)
    assert rewritten({"timeout": 2.0}, {})["timeout"] == httpx.Timeout(2.0)
    assert rewritten({"timeout": None}, {}) is None


def test_no_more_tokens_are_asked_for_than_the_model_gives(plugins: Any) -> None:
    info = {"max_output_tokens": 4096}
    assert plugins.request_rewriting.rewritten({"max_tokens": 32000}, info)["max_tokens"] == 4096
    assert plugins.request_rewriting.rewritten({"max_tokens": 100}, info) is None
    assert plugins.request_rewriting.rewritten({"max_tokens": 32000}, {}) is None


@pytest.mark.parametrize(
    ("messages", "wanted"),
    [
        (
            [{"role": "user", "content": "hello"}, LATE],
            [{"role": "user", "content": [{"type": "text", "text": "hello"}, REMINDER]}],
        ),
        ([CALL, LATE, {"role": "user", "content": [RESULT]}], [CALL, {"role": "user", "content": [RESULT, REMINDER]}]),
        ([CALL, LATE], [CALL, {"role": "user", "content": [REMINDER]}]),
        (
            [{"role": "system", "content": [{"type": "text", "text": "now"}]}, {"role": "user", "content": []}],
            [{"role": "user", "content": [REMINDER]}],
        ),
    ],
)
def test_a_late_system_message_becomes_a_reminder_of_the_user(plugins: Any, messages: Any, wanted: Any) -> None:
    assert plugins.request_rewriting.rewritten({"messages": messages}, FOUNDRY)["messages"] == wanted
    assert plugins.request_rewriting.rewritten({"messages": messages}, {"claude": True}) is None


def test_so_it_does_in_a_request_that_was_made_for_another_model(plugins: Any) -> None:
    haiku = {"id": "anthropic/haiku", "claude": True}
    tried = plugins.request_record.Tried
    request = SimpleNamespace(tried=[tried({"id": "lmstudio/local"}, "overflow"), tried(haiku)])
    plugins.request_record._current.set(request)
    try:
        rewritten = plugins.request_rewriting.rewritten({"messages": [{"role": "user", "content": "x"}, LATE]}, haiku)
    finally:
        plugins.request_record._current.set(None)
    assert rewritten["messages"][0]["content"][-1] == REMINDER


def test_a_deployment_is_spared_what_it_refuses(plugins: Any) -> None:
    headers = {"anthropic-beta": "claude-code-20250219, nonesuch-1", "x": "y"}
    given = {
        "messages": [],
        "output_config": {"effort": "xhigh", "format": None},
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": []},
        "provider_specific_header": {"custom_llm_provider": "anthropic", "extra_headers": headers},
        "api_key": "k",
    }
    rewritten = plugins.request_rewriting.rewritten(given, FOUNDRY)
    assert rewritten["output_config"] == {"effort": "high", "format": None}
    assert rewritten["thinking"] == {"type": "adaptive"}
    assert rewritten["context_management"] is None
    assert rewritten["provider_specific_header"]["extra_headers"] == {
        "anthropic-beta": "claude-code-20250219",
        "x": "y",
    }
    assert "extra_headers" not in rewritten
    strict = {"claude": True, "refuses": ["thinking", "x-api-key"]}
    rewritten = plugins.request_rewriting.rewritten(given, strict)
    assert rewritten["thinking"] == {"type": "disabled"}
    assert rewritten["extra_headers"] == {"authorization": "Bearer k"}
    assert rewritten["output_config"] == given["output_config"]


VENDOR = {"id": "deepseek/deep", "refuses": ["late_system", "efforts", "betas", "idle_effort", "lost_thoughts"]}
ADAPTIVE, OFF = {"type": "adaptive"}, {"type": "disabled"}
THOUGHT = {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, CALL["content"][0]]}


@pytest.mark.parametrize(
    ("messages", "thinking", "effort", "goes_as"),
    [
        ([CALL], ADAPTIVE, "high", (OFF, None)),  # begun by a model that told no thoughts
        ([THOUGHT], ADAPTIVE, "high", None),
        ([{"role": "assistant", "content": "hello"}], ADAPTIVE, "high", None),
        ([THOUGHT, CALL], ADAPTIVE, None, (OFF, None)),
        ([], OFF, "high", (OFF, None)),  # a subagent's: anthropics/claude-code/issues/65863
        ([], None, "high", (None, None)),
        ([], OFF, None, None),
        ([{"role": "assistant", "content": [5, {"type": 7}]}, 5], ADAPTIVE, None, None),
    ],
)  # fmt: skip
def test_a_vendors_endpoint_gets_thinking_and_effort_together(
    plugins: Any, messages: Any, thinking: Any, effort: str | None, goes_as: tuple[Any, Any] | None
) -> None:
    asked: dict[str, Any] = {"thinking": thinking}
    if effort:
        asked["output_config"] = {"effort": effort}
    # What has no role is no message: the rest of what vendors refuse is not looked at here.
    info = {**VENDOR, "refuses": ["idle_effort", "lost_thoughts"]}
    given = plugins.request_rewriting.rewritten({**asked, "messages": messages}, info)
    if goes_as is None:
        assert given is None
    else:
        assert (given["thinking"], given["output_config"] if effort else None) == goes_as
    kept = plugins.request_rewriting.rewritten({"output_config": {"effort": "high", "format": 1}, "messages": []}, info)
    assert kept["output_config"] == {"format": 1}


def test_marks_of_a_cache_go_where_they_would_make_a_stored_one(plugins: Any) -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    block = {"type": "text", "text": "a"}
    asked = {
        "system": [{**block, **mark}],
        "tools": [{"name": "Bash", "input_schema": {"properties": {"cache_control": {}}}, **mark}],
        "messages": [
            {"role": "user", "content": [{**block, **mark}, {"type": "tool_result", "content": [{**block, **mark}]}]},
            {"role": "user", "content": "plain"},
        ],
    }
    given = plugins.request_rewriting.rewritten(asked, {"id": "gemini/gem", "refuses": ["cache_control"]})
    assert given["system"] == [block]
    assert given["tools"] == [
        {"name": "Bash", "input_schema": {"properties": {"cache_control": {}}}}
    ]  # a tool's own word
    assert given["messages"][0]["content"] == [block, {"type": "tool_result", "content": [block]}]
    assert given["messages"][1] == {"role": "user", "content": "plain"}
    assert asked["system"] == [{**block, **mark}]  # which other models get as it is

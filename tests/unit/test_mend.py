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
    mended = plugins.request_rewriting.mended
    assert mended({"timeout": 120.0}, {"probe_url": "http://x"})["timeout"] == httpx.Timeout(120.0, connect=3.0)
    assert mended({"timeout": 120.0}, {})["timeout"] == httpx.Timeout(120.0, connect=5.0)
    assert mended({"timeout": 2.0}, {})["timeout"] == httpx.Timeout(2.0)
    assert mended({"timeout": None}, {}) is None


def test_no_more_tokens_are_asked_for_than_the_model_gives(plugins: Any) -> None:
    info = {"max_output_tokens": 4096}
    assert plugins.request_rewriting.mended({"max_tokens": 32000}, info)["max_tokens"] == 4096
    assert plugins.request_rewriting.mended({"max_tokens": 100}, info) is None
    assert plugins.request_rewriting.mended({"max_tokens": 32000}, {}) is None


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
    assert plugins.request_rewriting.mended({"messages": messages}, FOUNDRY)["messages"] == wanted
    assert plugins.request_rewriting.mended({"messages": messages}, {"claude": True}) is None


def test_so_it_does_in_a_request_that_was_made_for_another_model(plugins: Any) -> None:
    haiku = {"id": "anthropic/haiku", "claude": True}
    plugins.audit._current.set(SimpleNamespace(tried=[[{"id": "lmstudio/local"}, "overflow"], [haiku, None]]))
    try:
        mended = plugins.request_rewriting.mended({"messages": [{"role": "user", "content": "x"}, LATE]}, haiku)
    finally:
        plugins.audit._current.set(None)
    assert mended["messages"][0]["content"][-1] == REMINDER


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
    mended = plugins.request_rewriting.mended(given, FOUNDRY)
    assert mended["output_config"] == {"effort": "high", "format": None}
    assert mended["thinking"] == {"type": "adaptive"}
    assert mended["context_management"] is None
    assert mended["provider_specific_header"]["extra_headers"] == {"anthropic-beta": "claude-code-20250219", "x": "y"}
    assert "extra_headers" not in mended
    strict = {"claude": True, "refuses": ["thinking", "x-api-key"]}
    mended = plugins.request_rewriting.mended(given, strict)
    assert mended["thinking"] == {"type": "disabled"}
    assert mended["extra_headers"] == {"authorization": "Bearer k"}
    assert mended["output_config"] == given["output_config"]

"""A used-up quota or limit that nobody steps in for is told in words that help; everything else passes as it is."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from signalbox.host.shared.reasons import WHY
from tests.unit.gateway_plugins import plugins as plugins

LITELLMS = {"error": {"message": "litellm.RateLimitError: AnthropicException - Your credit balance is too low"}}
SCOPE = {"type": "http", "method": "POST", "path": "/v1/messages", "headers": []}


def asked(plugins: Any, status: int, *tried: tuple[str, str | None], path: str = "/v1/messages") -> tuple[int, Any]:
    """Ask an application that answers so after these tries; return status and document."""
    sent: list[dict[str, Any]] = []
    body = json.dumps(LITELLMS).encode()

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        plugins.request_record.current().tried += [
            plugins.request_record.Tried({"id": ident}, why) for ident, why in tried
        ]
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"9")]})
        await send({"type": "http.response.body", "body": body[:20], "more_body": True})
        await send({"type": "http.response.body", "body": body[20:]})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    served = plugins.refusals.around(plugins.audit.plugin.around(application))
    asyncio.run(served({**SCOPE, "path": path}, None, send))
    assert [each["type"] for each in sent[:1]] == ["http.response.start"]
    return sent[0]["status"], json.loads(b"".join(each["body"] for each in sent[1:]))


def test_a_used_up_quota_tells_what_it_is_and_the_way_on(plugins: Any) -> None:
    status, told = asked(plugins, 429, ("anthropic/claude-sonnet-4-6", "quota"))
    assert status == 400
    words = told["error"]["message"]
    assert "credit of anthropic/claude-sonnet-4-6 is used up" in words
    assert "claude-switch continue LANE" in words
    assert words.endswith("(it said: litellm.RateLimitError: AnthropicException - Your credit is too low)")


@pytest.mark.parametrize("word", ["certificate", "certificate-expired", "certificate-name"])
def test_a_certificate_that_nobody_trusts_is_told_once(plugins: Any, word: str) -> None:
    """At 500 Claude Code asked for 150 s, and at 400 it tells it: no try mends a certificate."""
    status, told = asked(plugins, 500, ("anthropic/claude-sonnet-4-6", word))
    assert status == 400
    assert told["error"]["message"].startswith(
        f"the gateway does not trust the server of anthropic/claude-sonnet-4-6: {WHY[word]}"
    )
    said = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
    said += {"certificate-expired": "certificate has expired", "certificate-name": "IP address mismatch"}.get(word, "x")
    error = RuntimeError(f"litellm.InternalServerError: AnthropicException - {said}")
    assert plugins.error_classes.error_class(error) == word


def test_a_limit_that_passes_keeps_its_status_and_tells_the_way_on(plugins: Any) -> None:
    status, told = asked(plugins, 429, ("anthropic/claude-sonnet-4-6", "rate_limit"))
    assert (status, told["error"]["type"]) == (429, "rate_limit_error")
    words = told["error"]["message"]
    assert words.startswith("anthropic/claude-sonnet-4-6 is at its limit for now, and is asked again by itself")
    assert "claude-switch continue LANE" in words


@pytest.mark.parametrize(
    ("status", "tried"),
    [
        (529, [("anthropic/claude-sonnet-4-6", "overloaded")]),  # Claude Code has words for it
        (500, [("anthropic/claude-sonnet-4-6", "quota"), ("lmstudio/local", "overflow")]),
        (200, [("anthropic/claude-sonnet-4-6", "quota")]),
        (401, []),
    ],
)
def test_everything_else_is_passed_on(plugins: Any, status: int, tried: list[tuple[str, str]]) -> None:
    assert asked(plugins, status, *tried) == (status, LITELLMS)


def test_what_does_not_speak_anthropics_way_keeps_its_shape(plugins: Any) -> None:
    tried = ("anthropic/claude-sonnet-4-6", "quota")
    assert asked(plugins, 429, tried, path="/v1/chat/completions") == (429, LITELLMS)


@pytest.mark.parametrize(
    "said",
    [
        "DeepseekException - Insufficient Balance",  # Aider-AI/aider/issues/4851: as a bad request
        "OpenrouterException - Insufficient credits. Add more using https://openrouter.ai/settings/credits",
        "This request requires more credits, or fewer max_tokens",  # QwenLM/qwen-code/issues/73
        "BedrockException - Too many tokens per day, please wait before trying again.",
        "You exceeded your current quota, please check your plan and billing details",
    ],
)
def test_an_account_without_money_is_known_by_the_vendors_words(plugins: Any, said: str) -> None:
    assert plugins.error_classes.error_class(RuntimeError(f"litellm.BadRequestError: {said}")) == "quota"

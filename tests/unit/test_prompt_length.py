"""A prompt that does not fit is refused where its server would cut it, and answer as if nothing were."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.gateway_plugins import ContextWindowExceededError
from tests.unit.gateway_plugins import plugins as plugins

CONTEXT = 1000  # tokens: of these tests, words


def asked(plugins: Any, text: str, **reading: Any) -> Any:
    told = {"on_demand": True, "context_length": CONTEXT, **reading}
    given = {
        "model": "m",
        "model_info": {"id": "ollama/local", "probe_url": "http://x", "reading": told},
        "messages": [{"role": "user", "content": text}],
    }
    return asyncio.run(plugins.failover.plugin.async_pre_call_deployment_hook(given, None))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("longer " * 980, "about 98. tokens > 1000 of ollama/local"),
        (
            "x" * 9000,
            "about 11.. tokens > 1000 of ollama/local",
        ),  # more than anybody's tokens are long: it is not counted
        ("\u4e00" * 3000, "about 11.. tokens > 1000 of ollama/local"),
    ],
)
def test_what_would_be_cut_is_refused_in_words_that_claude_code_knows(plugins: Any, text: str, said: str) -> None:
    request = SimpleNamespace(tried=[], mended=set())
    plugins.request_record._current.set(request)
    with pytest.raises(ContextWindowExceededError, match=f"^prompt is too long: {said}, which would cut it"):
        asked(plugins, text)
    assert request.tried[0].why == "overflow"


@pytest.mark.parametrize("text", ["short", "longer " * 800, "x" * 1700])
def test_what_fits_is_asked(plugins: Any, text: str) -> None:
    asked(plugins, text)


def test_an_image_is_not_counted_by_its_letters(plugins: Any) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 90000}}
    messages = [{"role": "user", "content": [image, {"type": "text", "text": "what is this?"}]}]
    assert asyncio.run(plugins.prompt_length.too_long({"messages": messages}, CONTEXT)) is None


def test_a_server_that_refuses_by_itself_is_asked_whatever_comes(plugins: Any) -> None:
    asked(plugins, "longer " * 5000, on_demand=False)

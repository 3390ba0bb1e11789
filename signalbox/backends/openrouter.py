"""OpenRouter (https://openrouter.ai/docs/api-reference): one account for the models of many."""

from __future__ import annotations

from signalbox.backends.cloud import ChatCloud
from signalbox.backends.kind import Asked


class OpenRouter(ChatCloud):
    account = "the OpenRouter account"
    usual = "https://openrouter.ai/api"
    provider = "openrouter"

    called = "OpenRouter"
    offer = "OpenRouter, one account for the models of many"
    key_prefix = "sk-or-"
    key_question = Asked(
        id="key",
        words="Your OpenRouter key (not shown)",
        example="sk-or-v1-…, as its settings show it once",
        more="https://openrouter.ai/settings/keys.",
    )


KIND = OpenRouter()

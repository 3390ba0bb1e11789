"""Any account with OpenAI's chat completions below /v1: Groq, Together, Fireworks, a company's own, and the like."""

from __future__ import annotations

from signalbox.backends.cloud import ChatCloud
from signalbox.backends.kind import Asked


class OpenAICompatibleCloud(ChatCloud):
    account = "the account"
    usual = "https://api.groq.com/openai"
    provider = "hosted_vllm"  # the plainest of OpenAI's /v1/chat/completions

    called = "an OpenAI-compatible API"
    offer = "another vendor's OpenAI-compatible API"
    key_question = Asked(
        id="key",
        words="Your key of that vendor (not shown)",
        example="what its console shows once, when the key is made",
        more="It is sent as a Bearer token.",
    )


KIND = OpenAICompatibleCloud()

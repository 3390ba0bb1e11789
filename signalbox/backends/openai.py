"""OpenAI's API (https://platform.openai.com/docs/api-reference), by its Responses."""

from __future__ import annotations

import re

from signalbox.backends.cloud import ChatCloud
from signalbox.backends.kind import Asked


class OpenAI(ChatCloud):
    account = "the OpenAI account"
    usual = "https://api.openai.com"
    provider = "openai"  # LiteLLM asks /v1/responses

    called = "OpenAI"
    offer = "the OpenAI API"
    key_prefix = "sk-"
    key_question = Asked(
        id="key",
        words="Your OpenAI API key (not shown)",
        example="sk-proj-…, as its console shows it once",
        more="https://platform.openai.com/api-keys.",
    )

    def lengths(self, model: str) -> tuple[int, int] | None:
        return (272000, 128000) if re.match(r"gpt-5", model) else None


KIND = OpenAI()

"""Mistral's API (https://docs.mistral.ai/api): Claude Code reaches it through the gateway alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from signalbox.backends.cloud import ChatCloud
from signalbox.backends.kind import Asked

# https://docs.mistral.ai/getting-started/models: of its medium and large models
_LENGTHS = (131072, 8192)


class Mistral(ChatCloud):
    account = "the account"
    usual = "https://api.mistral.ai"
    provider = "mistral"
    takes_over = False  # it refuses the ids of another model's tool calls

    called = "Mistral"
    offer = "the Mistral API"
    key_question = Asked(
        id="key",
        words="Your Mistral API key (not shown)",
        example="what its console shows once, when the key is made",
        more="https://console.mistral.ai, API keys.",
    )

    def settings(self, _answers: Mapping[str, str], _claudes: Sequence[str], _prefix: str) -> dict[str, Any]:
        context, answer = _LENGTHS
        model = {"id": "mistral-medium-latest", "context_length": context, "max_output_tokens": answer}
        return {"models": {"mistral-medium": model}}

    def lengths(self, model: str) -> tuple[int, int] | None:
        return _LENGTHS if re.search(r"medium|large|devstral", model) else None


KIND = Mistral()

"""The Claude API, with a key that bills an account."""

from __future__ import annotations

from signalbox.backends.cloud import CloudKind
from signalbox.backends.kind import Asked


class Anthropic(CloudKind):
    account = "the Claude API account"
    usual = "https://api.anthropic.com"
    provider = "anthropic"

    called = "the Claude API"
    offer = "the Claude API, billed by token"
    key_prefix = "sk-ant-"
    key_question = Asked(
        id="key",
        words="Your Claude API key (not shown)",
        example="sk-ant-api03-…, as its console shows it once",
        more="https://console.anthropic.com, API keys. It is kept in the encrypted secrets file as "
        "ANTHROPIC_DIRECT_KEY, never as ANTHROPIC_API_KEY, which Claude Code itself would bill.",
    )
    model_list = "/v1/models?limit=1000"

    def serves(self, provider: str, base: str, model: str) -> bool:
        return provider == self.provider and model.startswith("claude") and not base.endswith("/anthropic")


KIND = Anthropic()

"""A vendor's own Anthropic endpoint: DeepSeek, GLM (Z.ai), Kimi (Moonshot), MiniMax, Ollama Cloud and the like.

They take Anthropic's format, and not all that Claude Code sends in it.
"""

from __future__ import annotations

import re

from signalbox.backends.cloud import CloudKind
from signalbox.backends.kind import Asked
from signalbox.backends.records import Cloud, CloudModel


class AnthropicCompatible(CloudKind):
    account = "the account"
    usual = "https://api.deepseek.com/anthropic"
    provider = "anthropic"
    serves_claude = False
    adds = re.compile(r"/v1(/.*)?$")  # the rest of the path is the vendor's

    called = "a vendor's Anthropic endpoint"
    offer = "another vendor's Anthropic endpoint, such as DeepSeek's"
    key_question = Asked(
        id="key",
        words="Your key of that vendor (not shown)",
        example="what its console shows once, when the key is made",
        more="It is sent both as x-api-key and as a Bearer token.",
    )

    def refuses(self, record: Cloud, model: CloudModel) -> list[str]:  # noqa: ARG002
        # MiniMax-AI/MiniMax-M2.7/issues/43: a role "system" among the messages; anthropics/claude-code/issues/65863:
        # an effort without thinking; 62995: turns without their thoughts. Some take the key as a Bearer token alone.
        return ["late_system", "efforts", "betas", "idle_effort", "lost_thoughts", "x-api-key"]

    def headers(self, secret: str) -> dict[str, str]:
        return {**super().headers(secret), "Authorization": f"Bearer {secret}"}

    def native_anthropic(self, record: Cloud) -> str | None:
        return self.base(record)


KIND = AnthropicCompatible()

"""The Claude API, with a key that bills an account."""

from __future__ import annotations

from signalbox.backends.cloud import CloudKind


class Anthropic(CloudKind):
    account = "the Claude API account"
    usual = "https://api.anthropic.com"
    provider = "anthropic"


KIND = Anthropic()

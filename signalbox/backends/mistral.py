"""Mistral's API (https://docs.mistral.ai/api): Claude Code reaches it through the gateway alone."""

from __future__ import annotations

from signalbox.backends.cloud import CloudKind
from signalbox.backends.kind import Params
from signalbox.backends.records import Cloud, Model


class Mistral(CloudKind):
    serves_claude = False
    account = "the account"
    usual = "https://api.mistral.ai"
    provider = "mistral"

    def litellm_params(self, record: Cloud, model: Model) -> Params:
        return super().litellm_params(record, model) | {"api_base": f"{self.base(record)}/v1"}


KIND = Mistral()

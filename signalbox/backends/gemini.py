"""Gemini by Google's AI Studio (https://ai.google.dev/api): a key, no project."""

from __future__ import annotations

from signalbox.backends.cloud import ChatCloud
from signalbox.backends.kind import Asked, Params, Probe
from signalbox.backends.records import Cloud, CloudModel, Model


class Gemini(ChatCloud):
    account = "the Google AI account"
    usual = "https://generativelanguage.googleapis.com"
    provider = "gemini"

    called = "Gemini"
    offer = "Gemini, by a key of Google's AI Studio"
    key_prefix = "AIza"
    key_question = Asked(
        id="key",
        words="Your Gemini API key (not shown)",
        example="AIza…, as AI Studio shows it",
        more="https://aistudio.google.com/apikey.",
    )
    model_list = "/v1beta/models?pageSize=1000"

    def litellm_params(self, record: Cloud, model: Model) -> Params:
        return super().litellm_params(record, model) | {"api_base": f"{self.base(record)}/v1beta"}

    def refuses(self, record: Cloud, model: CloudModel) -> list[str]:  # noqa: ARG002
        # LiteLLM would make a stored cache of what is marked so, which bills by the hour; Gemini caches by itself.
        return ["cache_control"]

    def probe(self, record: Cloud) -> Probe:
        return Probe(f"{self.base(record)}/v1beta/models")

    def headers(self, secret: str) -> dict[str, str]:
        return {"x-goog-api-key": secret}


KIND = Gemini()

"""Claude in Azure AI Foundry: a model's id is the name of its deployment."""

from __future__ import annotations

from signalbox.backends.shape import Params, Probe, key
from signalbox.settings.records import Cloud, Model


def _endpoint(record: Cloud) -> str:
    # No trailing slash and no /v1/messages: LiteLLM appends its own path.
    return f"{record.url or f'https://{record.resource}.services.ai.azure.com'}/anthropic"


def litellm_params(record: Cloud, model: Model) -> Params:
    return {"model": f"azure_ai/{model.id}", "api_base": _endpoint(record), **key(record.secret)}


def probe(record: Cloud) -> Probe:
    # Without a key it answers 401, which costs nothing and shows that the resource's name exists.
    return Probe(f"{_endpoint(record)}/v1/models")


def native_anthropic(record: Cloud) -> str | None:
    return _endpoint(record)

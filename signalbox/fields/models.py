"""Names, ids and parameters of models."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator

from signalbox.fields.checks import matching
from signalbox.fields.messages import show


def _effort(value: str) -> str:
    if value in {"xhigh", "max"}:
        raise ValueError(f'{show(value)} is rejected by many backends; write "high"')
    if value not in {"low", "medium", "high"}:
        raise ValueError(f'{show(value)} is not an effort; write "low", "medium" or "high"')
    return value


_OWN_PARAMS = {
    "model": "id",
    "api_base": "the record's url",
    "base_url": "the record's url",
    "max_retries": "gateway.retries",
    "api_key": "the name of a secret in the record's token or secret",
    "order": "order",
    "custom_llm_provider": "the record's kind",
    "use_litellm_proxy": "the other proxy as a backend of its own",
    "fallbacks": "gateway.fallbacks",
    "context_window_fallbacks": "gateway.fallbacks",
    "default_fallbacks": "gateway.fallbacks",
    "input_cost_per_token": "price",
    "output_cost_per_token": "price",
}


def _litellm_params(value: dict[str, Any]) -> dict[str, Any]:
    """Further members of a LiteLLM entry: JSON, nothing that another setting decides, and no reference to a secret."""
    for name, instead in _OWN_PARAMS.items():
        if name in value:
            raise ValueError(f"{show(name)} is decided elsewhere; write {instead}")
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError("this is not JSON; write texts, numbers, True, False, None, lists and dicts alone") from None
    if "os.environ/" in text:
        raise ValueError("the gateway gets the keys of its records alone; name the secret in token or secret")
    return value


LiteLLMParams = Annotated[dict[str, Any], AfterValidator(_litellm_params)]
Effort = Annotated[str, AfterValidator(_effort)]
ModelName = Annotated[str, matching(r"[A-Za-z0-9][\w.:/@-]*", "a model's name (no spaces)", 'one such as "local"')]
ModelId = Annotated[str, matching(r"\S+( \S+)*", "a model's id", "what the server's model list calls it")]
Words = Annotated[str, matching(r"(?s).*\S.*", "a text", "who pays, in words")]

"""Mistral's API (https://docs.mistral.ai/api): Claude Code reaches it through the gateway alone."""

from __future__ import annotations

from collections.abc import Iterator

from signalbox.backends.records import Cloud, CloudModel, Model
from signalbox.backends.shape import Params, Probe, key, needs_url, no_foundry

SERVES_CLAUDE = False
ACCOUNT = "the account"


def problems(record: Cloud) -> Iterator[tuple[str, str]]:
    yield from needs_url(record, "https://api.mistral.ai")
    yield from no_foundry(record)


def litellm_params(record: Cloud, model: Model) -> Params:
    return {"model": f"mistral/{model.id}", "api_base": f"{record.url}/v1", **key(record.secret)}


def refuses(_record: Cloud, _model: CloudModel) -> list[str]:
    return []


def probe(record: Cloud) -> Probe:
    return Probe(f"{record.url}/v1/models")  # 401 without a key, and free


def native_anthropic(_: Cloud) -> str | None:
    return None  # OpenAI's format only

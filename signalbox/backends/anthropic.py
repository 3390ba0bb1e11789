"""The Claude API, with a key that bills an account."""

from __future__ import annotations

from collections.abc import Iterator

from signalbox.backends.records import Cloud, CloudModel, Model
from signalbox.backends.shape import Params, Probe, key, needs_url, no_foundry

SERVES_CLAUDE = True
ACCOUNT = "the Claude API account"


def problems(record: Cloud) -> Iterator[tuple[str, str]]:
    yield from needs_url(record, "https://api.anthropic.com")
    yield from no_foundry(record)


def litellm_params(record: Cloud, model: Model) -> Params:
    return {"model": f"anthropic/{model.id}", "api_base": str(record.url), **key(record.secret)}


def refuses(_record: Cloud, _model: CloudModel) -> list[str]:
    return []


def probe(record: Cloud) -> Probe:
    # Without a key it answers 401, which costs nothing and shows that DNS, route and TLS are right.
    return Probe(f"{record.url}/v1/models")


def native_anthropic(record: Cloud) -> str | None:
    return record.url

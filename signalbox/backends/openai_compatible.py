"""Any server with OpenAI's chat completions: Open WebUI (url ends in /api), another LiteLLM, and the like.

Such a server may hand a request on to a cloud: only its owner knows what is behind it.
"""

from __future__ import annotations

from collections.abc import Iterator

from signalbox.backends.records import Backend, BackendModel, Model
from signalbox.backends.shape import (
    Ask,
    Identity,
    Listing,
    Params,
    Probe,
    Reading,
    Sight,
    chat_completions,
    needs_url,
    openai_listing,
)

USUAL = ":3000/api"
START = "open-webui serve --host 0.0.0.0 --port 3000; others as their manuals say, on an address of your network"


def problems(record: Backend) -> Iterator[tuple[str, str]]:
    yield from needs_url(record, f"http://192.168.1.20{USUAL}")


def litellm_params(record: Backend, model: Model) -> Params:
    return chat_completions(record, model)


def probe(record: Backend) -> Probe:
    return Probe(f"{record.url}/v1/models", record.token)


def native_anthropic(_: Backend) -> str | None:
    return None


def reading(_record: Backend, _model: BackendModel) -> Reading | None:
    return None  # no such server need tell


def sight(_record: Backend, _model: BackendModel) -> Sight | None:
    return None  # no such server need tell


def slots(_record: Backend, _model: BackendModel) -> str | None:
    return None


def listing(record: Backend) -> Listing:
    return openai_listing(record)


def identity(_model: str, _ask: Ask) -> Identity:
    return Identity()  # no such server need tell

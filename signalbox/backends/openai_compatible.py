"""Any server with OpenAI's chat completions: Open WebUI (url ends in /api), another LiteLLM, and the like.

Such a server may hand a request on to a cloud: only its owner knows what is behind it.
"""

from __future__ import annotations

from collections.abc import Iterator

from signalbox.backends.shape import Params, Probe, Reading, chat_completions, needs_url
from signalbox.settings.records import Backend, BackendModel, Model


def problems(record: Backend) -> Iterator[tuple[str, str]]:
    yield from needs_url(record, "http://192.168.1.20:3000/api")


def litellm_params(record: Backend, model: Model) -> Params:
    return chat_completions(record, model)


def probe(record: Backend) -> Probe:
    return Probe(f"{record.url}/v1/models", record.token)


def native_anthropic(_: Backend) -> str | None:
    return None


def reading(_record: Backend, _model: BackendModel) -> Reading | None:
    return None  # no such server need tell

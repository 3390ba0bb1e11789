"""LM Studio 0.4.1 or newer (the first with an Anthropic endpoint): https://lmstudio.ai/docs/developer."""

from __future__ import annotations

from collections.abc import Iterator

from signalbox.backends.shape import Ask, Identity, Listing, Params, Probe, Reading, Sight, key, needs_url
from signalbox.settings.records import Backend, BackendModel, Model

USUAL = ":1234"
START = "lms server start --bind 0.0.0.0 --port 1234, then lms load MODEL --context-length 65536 --yes"


def problems(record: Backend) -> Iterator[tuple[str, str]]:
    yield from needs_url(record, f"http://192.168.1.20{USUAL}")


def litellm_params(record: Backend, model: Model) -> Params:
    # `lm_studio/` takes tools, streams and late system messages to /v1/chat/completions; `openai/` would
    # post to /v1/responses, and `anthropic/` forwards headers and roles that LM Studio does not know.
    return {"model": f"lm_studio/{model.id}", "api_base": f"{record.url}/v1", **key(record.token)}


def probe(record: Backend) -> Probe:
    return Probe(f"{record.url}/api/v1/models", record.token)


def native_anthropic(record: Backend) -> str | None:
    return record.url


def reading(record: Backend, model: BackendModel) -> Reading:
    # `max_context_length` is only what the model could have; a loaded instance's configuration tells what it has.
    return Reading(
        url=probe(record).url,
        secret=record.token,
        model=str(model.id),
        models="models",
        names=("key", "loaded_instances.0.id"),
        context="loaded_instances.0.config.context_length",
        cure=f"lms load {model.id} --context-length {{context}} --yes",
    )


def sight(record: Backend, _model: BackendModel) -> Sight:
    # 0.4.21 answers 400 to any but text in a tool's result: github.com/lmstudio-ai/localization/issues/425
    names = ("key", "loaded_instances.0.id")
    return Sight(probe(record).url, "capabilities.vision", models="models", names=names, in_results=False)


def slots(_record: Backend, _model: BackendModel) -> str | None:
    return None


def listing(record: Backend) -> Listing:
    return Listing(probe(record).url, "models", "key", telling=True, unfit=(("type", "embedding"),))


def identity(model: str, ask: Ask) -> Identity:
    entries = [each for each in ask("/api/v1/models").get("models", ()) if each.get("key") == model]
    quantisation = (entries[0].get("quantization") or {}).get("name") if entries else ""
    return Identity(quantisation=str(quantisation or ""))  # its API does not tell its own version

"""vLLM's OpenAI-compatible server: https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html.

It must be started with --enable-auto-tool-choice, the --tool-call-parser of the model, and, where a direct lane shall
go there, --served-model-name without a slash.
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

USUAL = ":8000"
START = "vllm serve MODEL --host 0.0.0.0 --max-model-len 65536 --enable-auto-tool-choice --tool-call-parser PARSER"


def problems(record: Backend) -> Iterator[tuple[str, str]]:
    yield from needs_url(record, f"http://192.168.1.20{USUAL}")


def litellm_params(record: Backend, model: Model) -> Params:
    return chat_completions(record, model)


def probe(record: Backend) -> Probe:
    return Probe(f"{record.url}/v1/models", record.token)


def native_anthropic(record: Backend) -> str | None:
    return record.url


def reading(record: Backend, model: BackendModel) -> Reading:
    return Reading(
        url=probe(record).url,
        secret=record.token,
        model=str(model.id),
        models="data",
        names=("id", "root"),
        context="max_model_len",
        cure=f"vllm serve {model.id} --max-model-len {{context}} --enable-auto-tool-choice --tool-call-parser …",
    )


def sight(_record: Backend, _model: BackendModel) -> Sight | None:
    return None  # it does not tell


def slots(_record: Backend, _model: BackendModel) -> str | None:
    return None


def listing(record: Backend) -> Listing:
    return openai_listing(record)


def identity(_: str, ask: Ask) -> Identity:
    return Identity(str(ask("/version").get("version", "")))  # how it quantises it does not tell

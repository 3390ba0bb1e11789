"""LM Studio 0.4.1 or newer (the first with an Anthropic endpoint)."""

from __future__ import annotations

from signalbox.backends.shape import Json, Loaded, Params, Probe, key
from signalbox.settings.records import Backend, Model


def litellm_params(record: Backend, model: Model) -> Params:
    # `lm_studio/` takes tools, streams and late system messages to /v1/chat/completions; `openai/` would
    # post to /v1/responses, and `anthropic/` forwards headers and roles that LM Studio does not know.
    return {"model": f"lm_studio/{model.id}", "api_base": f"{record.url}/v1", **key(record.token)}


def probe(record: Backend) -> Probe:
    return Probe(f"{record.url}/api/v1/models", record.token, _loaded)


def native_anthropic(record: Backend) -> str | None:
    return record.url


def _loaded(answer: Json) -> list[Loaded]:
    """Read the answer of LM Studio's own API (https://lmstudio.ai/docs/developer/rest).

    A model answers to its key and to the id of each loaded instance. `max_context_length` is only what
    the model could have; the instance's configuration tells what it has.
    """
    return [
        Loaded(
            id=name,
            context_length=instance["config"].get("context_length"),
            tools=(model.get("capabilities") or {}).get("trained_for_tool_use"),
        )
        for model in answer["models"]
        for instance in model.get("loaded_instances", [])
        for name in dict.fromkeys([model["key"], instance["id"]])
    ]

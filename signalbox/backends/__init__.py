"""Kinds of model servers: one module a kind, and no branch on a kind anywhere else.

A new kind is a module here, which says what it does otherwise than server.ServerKind or cloud.CloudKind, its line
below, and its name in records.py.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from signalbox.backends import (
    anthropic,
    anthropic_compatible,
    azure_foundry,
    bedrock,
    gemini,
    llama_cpp,
    lm_studio,
    mistral,
    ollama,
    openai,
    openai_compatible,
    openai_compatible_cloud,
    openrouter,
    vertex,
    vllm,
)
from signalbox.backends.cloud import CloudKind
from signalbox.backends.kind import Kind, Listing, Probe, Reading, Sight
from signalbox.backends.records import Backend, BackendModel, Cloud
from signalbox.backends.server import ServerKind

BACKENDS: dict[str, ServerKind] = {  # servers on your own network
    "lm_studio": lm_studio.KIND,
    "ollama": ollama.KIND,
    "llama_cpp": llama_cpp.KIND,
    "vllm": vllm.KIND,
    "openai_compatible": openai_compatible.KIND,
}
CLOUDS: dict[str, CloudKind] = {  # accounts that bill
    "anthropic": anthropic.KIND,
    "azure_foundry": azure_foundry.KIND,
    "mistral": mistral.KIND,
    "openai": openai.KIND,
    "gemini": gemini.KIND,
    "openrouter": openrouter.KIND,
    "anthropic_compatible": anthropic_compatible.KIND,
    "openai_compatible": openai_compatible_cloud.KIND,
    "bedrock": bedrock.KIND,
    "vertex": vertex.KIND,
}


def kind_of(record: Backend | Cloud) -> Kind[Any]:
    """Return the kind of an enabled record. Raises KeyError for one that no module here serves."""
    return CLOUDS[str(record.kind)] if isinstance(record, Cloud) else BACKENDS[str(record.kind)]


def backend_kind(record: Backend) -> ServerKind:
    """Return the kind of an enabled backend. Raises KeyError for one that no module here serves."""
    return BACKENDS[str(record.kind)]


def reading_of(record: Backend, model: BackendModel) -> dict[str, Any] | None:
    """Return as plain data how to read the context that a model is loaded with; None where its server does not tell.

    signalbox/host/shared/context.py judges the answer; `secret` is the name of the server's token, never its value.
    """
    reading = backend_kind(record).reading(record, model)
    if reading is None:
        return None
    lengths = {"context_length": model.context_length, "max_output_tokens": model.max_output_tokens}
    return {**asdict(reading), "names": list(reading.names), **lengths}


def sight_of(record: Backend, model: BackendModel) -> dict[str, Any] | None:
    """Return as plain data where it is told whether a model sees images; None where its server does not tell."""
    sight = backend_kind(record).sight(record, model)
    if sight is None:
        return None
    reading = backend_kind(record).reading(record, model)
    return {**asdict(sight), "names": list(sight.names), "secret": record.token, "model": reading and reading.model}


__all__ = [
    "BACKENDS",
    "CLOUDS",
    "CloudKind",
    "Kind",
    "Listing",
    "Probe",
    "Reading",
    "ServerKind",
    "Sight",
    "backend_kind",
    "kind_of",
    "reading_of",
    "sight_of",
]

"""The models that the simulated LM Studio has on disk and in memory, in the forms in which it lists them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

MODEL = "qwen/qwen3.6-35b-a3b"  # loaded from the start, as the first guide has it
WEAK_MODEL = "google/gemma-3-4b"  # not trained for tools
EMBEDDING_MODEL = "text-embedding-nomic-embed-text-v1.5"
DEFAULT_CONTEXT = 4096  # of a model that is loaded without a wish (lmstudio-ai/lmstudio-bug-tracker#1659)


@dataclass
class Entry:
    """A model on disk. context_length: as loaded, in tokens; None: not in memory."""

    key: str
    display_name: str
    kind: Literal["llm", "embedding"]
    architecture: str
    params: str | None
    size_bytes: int
    max_context_length: int
    tools: bool = False
    context_length: int | None = None

    @property
    def publisher(self) -> str:
        return self.key.partition("/")[0] if "/" in self.key else "nomic-ai"


def default_catalog() -> Catalog:
    return Catalog(
        [
            Entry(MODEL, "Qwen3.6 35B A3B", "llm", "qwen35moe", "35B", 22_100_000_000, 262_144, True, 32_768),
            Entry(WEAK_MODEL, "Gemma 3 4B", "llm", "gemma3", "4B", 3_034_755_901, 131_072),
            Entry(EMBEDDING_MODEL, "Nomic Embed Text v1.5", "embedding", "nomic-bert", None, 84_106_624, 2_048),
        ]
    )


class Catalog:
    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries

    def find(self, key: Any) -> Entry | None:
        return next((entry for entry in self.entries if entry.key == key), None)

    def load(self, entry: Entry, context_length: int | None) -> None:
        """Into memory; a model that is loaded already gets the new context."""
        entry.context_length = context_length or min(DEFAULT_CONTEXT, entry.max_context_length)

    def unload(self, entry: Entry) -> None:
        entry.context_length = None

    def config(self, entry: Entry) -> dict[str, Any]:
        config: dict[str, Any] = {"context_length": entry.context_length}
        if entry.kind == "llm":
            config |= {"eval_batch_size": 512, "flash_attention": True, "offload_kv_cache_to_gpu": True}
        return config

    def openai_list(self) -> dict[str, Any]:
        """GET /v1/models: with just-in-time loading, everything on disk."""
        data = [{"id": e.key, "object": "model", "owned_by": "organization_owner"} for e in self.entries]
        return {"data": data, "object": "list"}

    def v0(self, entry: Entry) -> dict[str, Any]:
        """One entry of GET /api/v0/models."""
        listed = {
            "id": entry.key,
            "object": "model",
            "type": "embeddings" if entry.kind == "embedding" else "llm",
            "publisher": entry.publisher,
            "arch": entry.architecture,
            "compatibility_type": "gguf",
            "quantization": "Q4_K_M",
            "state": "loaded" if entry.context_length else "not-loaded",
            "max_context_length": entry.max_context_length,
        }
        if entry.context_length:
            listed["loaded_context_length"] = entry.context_length
        if entry.tools:
            listed["capabilities"] = ["tool_use"]
        return listed

    def v0_list(self) -> dict[str, Any]:
        return {"object": "list", "data": [self.v0(entry) for entry in self.entries]}

    def v1_list(self, vision: bool = False) -> dict[str, Any]:
        """GET /api/v1/models. vision: whether its models see images."""
        return {"models": [self._v1(entry, vision) for entry in self.entries]}

    def _v1(self, entry: Entry, vision: bool) -> dict[str, Any]:
        loaded = [{"id": entry.key, "config": self.config(entry)}] if entry.context_length else []
        listed: dict[str, Any] = {
            "type": entry.kind,
            "publisher": entry.publisher,
            "key": entry.key,
            "display_name": entry.display_name,
            "quantization": {"name": "Q4_K_M", "bits_per_weight": 4},
            "size_bytes": entry.size_bytes,
            "params_string": entry.params,
            "loaded_instances": loaded,
            "max_context_length": entry.max_context_length,
            "format": "gguf",
        }
        if entry.kind == "llm":  # absent for embedding models
            listed["architecture"] = entry.architecture
            listed["capabilities"] = {"vision": vision, "trained_for_tool_use": entry.tools}
            listed["description"] = None
        return listed

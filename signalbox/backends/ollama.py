"""Ollama 0.14.0 or newer (the first with an Anthropic endpoint): https://docs.ollama.com/api."""

from __future__ import annotations

from signalbox.backends.kind import Ask, Identity, Listing, Params, Probe, Reading, Sight, key
from signalbox.backends.records import Backend, BackendModel, Model
from signalbox.backends.server import ServerKind


class Ollama(ServerKind):
    usual = ":11434"
    start = "OLLAMA_HOST=0.0.0.0 OLLAMA_CONTEXT_LENGTH=65536 OLLAMA_NUM_PARALLEL=1 ollama serve, then ollama run MODEL"
    written_as = ("ollama", "ollama_chat")
    takes_tool_choice = False  # guide 3, section 3: its Anthropic endpoint does not know it

    def litellm_params(self, record: Backend, model: Model) -> Params:
        # Ollama's own API takes the context with each request. Its OpenAI endpoint ignores it, and a model that is
        # loaded there on demand gets what the server was started with: 4096 on small machines, and the prompt is cut
        # in silence.
        context = {"num_ctx": model.context_length} if isinstance(model, BackendModel) else {}
        return {"model": f"ollama_chat/{model.id}", "api_base": str(record.url), **key(record.token), **context}

    def probe(self, record: Backend) -> Probe:
        return Probe(f"{record.url}/api/ps", record.token)

    def reading(self, record: Backend, model: BackendModel) -> Reading:
        name = str(model.id)
        return Reading(
            url=self.probe(record).url,
            secret=record.token,
            model=name if ":" in name else f"{name}:latest",  # as /api/ps calls it
            models="models",
            names=("name", "model"),
            context="context_length",
            cure=f"OLLAMA_CONTEXT_LENGTH={{context}} ollama serve, then ollama run {name}",
            on_demand=True,
        )

    def sight(self, record: Backend, model: BackendModel) -> Sight:
        return Sight(f"{record.url}/api/show", "capabilities", {"model": str(model.id)}, tools="capabilities")

    def listing(self, record: Backend) -> Listing:
        return Listing(f"{record.url}/api/tags", "models", "name", telling=True)  # /api/ps has the loaded ones alone

    def identity(self, model: str, ask: Ask) -> Identity:
        details = ask("/api/show", body={"model": model}).get("details") or {}
        return Identity(str(ask("/api/version").get("version", "")), str(details.get("quantization_level", "")))


KIND = Ollama()

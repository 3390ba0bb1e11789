"""LM Studio 0.4.1 or newer (the first with an Anthropic endpoint): https://lmstudio.ai/docs/developer."""

from __future__ import annotations

from signalbox.backends.kind import Ask, Identity, Listing, Probe, Reading, Sight
from signalbox.backends.records import Backend, BackendModel
from signalbox.backends.server import ServerKind


class LmStudio(ServerKind):
    usual = ":1234"
    start = "lms server start --bind 0.0.0.0 --port 1234, then lms load MODEL --context-length 65536 --yes"
    provider = "lm_studio"  # takes tools, streams and late system messages to /v1/chat/completions
    written_as = ("lm_studio",)

    def probe(self, record: Backend) -> Probe:
        return Probe(f"{record.url}/api/v1/models", record.token)

    def reading(self, record: Backend, model: BackendModel) -> Reading:
        # `max_context_length` is only what the model could have; a loaded instance's configuration tells what it has.
        return Reading(
            url=self.probe(record).url,
            secret=record.token,
            model=str(model.id),
            models="models",
            names=("key", "loaded_instances.0.id"),
            context="loaded_instances.0.config.context_length",
            cure=f"lms load {model.id} --context-length {{context}} --yes",
        )

    def sight(self, record: Backend, _model: BackendModel) -> Sight:
        # 0.4.21 answers 400 to any but text in a tool's result: github.com/lmstudio-ai/localization/issues/425
        names = ("key", "loaded_instances.0.id")
        return Sight(self.probe(record).url, "capabilities.vision", models="models", names=names, in_results=False)

    def listing(self, record: Backend) -> Listing:
        return Listing(self.probe(record).url, "models", "key", telling=True, unfit=(("type", "embedding"),))

    def identity(self, model: str, ask: Ask) -> Identity:
        entries = [each for each in ask("/api/v1/models").get("models", ()) if each.get("key") == model]
        quantisation = (entries[0].get("quantization") or {}).get("name") if entries else ""
        return Identity(quantisation=str(quantisation or ""))  # its API does not tell its own version


KIND = LmStudio()

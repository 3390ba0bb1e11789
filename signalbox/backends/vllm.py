"""vLLM's OpenAI-compatible server: https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html.

It must be started with --enable-auto-tool-choice, the --tool-call-parser of the model, and, where a direct lane shall
go there, --served-model-name without a slash.
"""

from __future__ import annotations

from signalbox.backends.kind import Ask, Identity, Reading
from signalbox.backends.records import Backend, BackendModel
from signalbox.backends.server import ServerKind


class Vllm(ServerKind):
    usual = ":8000"
    start = "vllm serve MODEL --host 0.0.0.0 --max-model-len 65536 --enable-auto-tool-choice --tool-call-parser PARSER"
    written_as = ("hosted_vllm",)

    def reading(self, record: Backend, model: BackendModel) -> Reading:
        return Reading(
            url=self.probe(record).url,
            secret=record.token,
            model=str(model.id),
            models="data",
            names=("id", "root"),
            context="max_model_len",
            cure=f"vllm serve {model.id} --max-model-len {{context}} --enable-auto-tool-choice --tool-call-parser …",
        )

    def identity(self, _: str, ask: Ask) -> Identity:
        return Identity(str(ask("/version").get("version", "")))  # how it quantises it does not tell


KIND = Vllm()

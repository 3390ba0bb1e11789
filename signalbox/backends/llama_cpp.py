"""llama.cpp's llama-server, with one model or as a router: https://github.com/ggml-org/llama.cpp/tree/master/tools/server."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from signalbox.backends.kind import Ask, Identity, Probe, Reading, Sight
from signalbox.backends.records import Backend, BackendModel
from signalbox.backends.server import ServerKind


class LlamaCpp(ServerKind):
    usual = ":8080"
    start = "llama-server -m FILE --host 0.0.0.0 --port 8080 -c 65536 -np 1 --jinja"
    written_as = ("llamafile",)
    # Not `anthropic`: its /v1/messages hands a late system message to the model's template, and many refuse it. By
    # chat completions LiteLLM mends that, and an overflow is known for one.
    provider = "hosted_vllm"

    def probe(self, record: Backend) -> Probe:
        # Without a key even where the rest wants one; 503 while it loads its model.
        return Probe(f"{record.url}/health")

    def reading(self, record: Backend, model: BackendModel) -> Reading:
        # /props?model= would tell too, and have llama-swap load the model (mostlygeek/llama-swap/pull/886); of a
        # router's list the loaded ones alone have `meta`. A server with one model ignores the name.
        return Reading(
            url=f"{record.url}/v1/models",
            secret=record.token,
            model=str(model.id),
            models="data",
            names=("id",),
            context="meta.n_ctx",
            any_name=True,
            cure="llama-server -c {context} -np 1 --jinja … (without -c it shrinks to fit the memory, -np divides it)",
        )

    def sight(self, record: Backend, model: BackendModel) -> Sight:
        # A router needs the name, and is not to load a model for that.
        asked = urlencode({"model": str(model.id), "autoload": "false"})
        return Sight(f"{record.url}/props?{asked}", "modalities.vision", tools="chat_template_caps.supports_tools")

    def slots(self, record: Backend, model: BackendModel) -> str | None:
        return f"{record.url}/slots?{urlencode({'model': str(model.id)})}"

    def identity(self, _: str, ask: Ask) -> Identity:
        props = ask("/props")
        named = re.search(
            r"[-._]((?:IQ|Q)\d\w*|BF16|F16|F32|MXFP4\w*)\.gguf$", str(props.get("model_path", "")), re.IGNORECASE
        )
        return Identity(str(props.get("build_info", "")), named[1] if named else "")  # people name files so


KIND = LlamaCpp()

"""llama.cpp's llama-server with one model: words and shapes as in its sources (tools/server, build of 2026-10)."""

from __future__ import annotations

from typing import Any

from tests.lab.simulators.personalities.model_server import Handler, ModelServer
from tests.lab.simulators.protocol import Answer, Call, FaultKind

MODEL = "qwen3.6-27b-mtp"

FAILURES = {
    "401": (401, "Invalid API Key", "authentication_error"),
    "429": (429, "Too many requests", "server_error"),  # assumed: it has none
    "500": (500, "Context size has been exceeded.", "server_error"),  # of slots that share one cache
    "503": (503, "Loading model", "unavailable_error"),  # on every path, before the key is looked at
    "529": (529, "Overloaded", "server_error"),  # assumed
}


class LlamaCpp(ModelServer):
    name = "llamacpp"
    port = 8090  # 8080, its usual one, is the mirror's here
    title = "llama.cpp"
    model = MODEL
    token = "llama-lab-token"  # noqa: S105 (made up)

    def routes(self) -> dict[tuple[str, str], Handler]:
        return {
            ("GET", "/health"): lambda _: Answer(body={"status": "ok"}),
            ("GET", "/props"): self._props,
            ("GET", "/slots"): lambda _: Answer(body=[{"id": 0, "n_ctx": self.context, "is_processing": False}]),
            ("GET", "/v1/models"): self._models,
            ("POST", "/v1/chat/completions"): self.chat,
            ("POST", "/v1/messages"): self.messages,
            ("POST", "/v1/messages/count_tokens"): self.count_tokens,
        }

    def open(self, call: Call) -> bool:
        return call.path in ("/health", "/v1/models", "/models")

    def error(self, call: Call, kind: FaultKind, retry_after: int) -> Answer:  # noqa: ARG002
        status, message, of = FAILURES[kind]
        return Answer(status, {"error": {"code": status, "message": message, "type": of}})

    def overflow(self, call: Call, asked: int, context: int) -> Answer:  # noqa: ARG002
        message = f"request ({asked} tokens) exceeds the available context size ({context} tokens), try increasing it"
        error = {"code": 400, "message": message, "type": "exceed_context_size_error"}
        return Answer(400, {"error": {**error, "n_prompt_tokens": asked, "n_ctx": context}})

    def bad(self, call: Call, message: str) -> Answer:  # noqa: ARG002
        return Answer(400, {"error": {"code": 400, "message": message, "type": "invalid_request_error"}})

    def late_system(self, call: Call) -> Answer:  # noqa: ARG002
        # ggml-org/llama.cpp/issues/27367: by the model's template, on both endpoints
        message = "\n------------\nWhile executing CallExpression at line 85, column 32 in source:\n...\n"
        message += "Error: Jinja Exception: System message must be at the beginning."
        return Answer(500, {"error": {"code": 500, "message": message, "type": "server_error"}})

    def unseen_image(self, call: Call) -> Answer:
        # its server-common.cpp
        hint = "hint: if this is unexpected, you may need to provide the mmproj"
        return self.bad(call, f"image input is not supported - {hint}")

    def unknown(self, call: Call) -> Answer:  # noqa: ARG002
        return Answer(404, {"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}})

    def check(self, call: Call, body: dict[str, Any]) -> None:
        """The name of the model is not looked at."""

    def _props(self, _: Call) -> Answer:
        return Answer(
            body={
                "default_generation_settings": {"n_ctx": self.context},
                "total_slots": 1,
                "model_path": f"/models/{MODEL}-Q4_K_M.gguf",
                "build_info": "b6423-0123abcd",
                "chat_template_caps": {"supports_tools": True},
            }
        )

    def _models(self, _: Call) -> Answer:
        entry = {"id": MODEL, "object": "model", "owned_by": "llamacpp", "meta": {"n_ctx": self.context}}
        return Answer(body={"object": "list", "data": [entry]})

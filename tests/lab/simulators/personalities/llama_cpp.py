"""llama.cpp's llama-server with one model: words and shapes as in its sources (tools/server, build of 2026-10)."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.lab.simulators.personalities.model_server import Handler, ModelServer
from tests.lab.simulators.protocol import Answer, Call, FaultKind, Refused

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
    # router: started without a model (--models-preset), so that it loads what is asked for; loaded: whether it has now.
    # lists_openly: /v1/models without the key, as up to the builds of 2026-09
    options: ClassVar = {
        "require_authentication": False,
        "context_length": 32768,
        "router": False,
        "loaded": True,
        "lists_openly": True,
    }

    def routes(self) -> dict[tuple[str, str], Handler]:
        return {
            ("GET", "/health"): lambda _: Answer(body={"status": "ok"}),
            ("GET", "/props"): self._props,
            ("GET", "/slots"): lambda _: Answer(body=[{"id": 0, "n_ctx": self.context, "is_processing": False}]),
            ("GET", "/v1/models"): self._models,
            ("POST", "/v1/chat/completions"): lambda call: self._loading(call, self.chat),
            ("POST", "/v1/messages"): lambda call: self._loading(call, self.messages),
            ("POST", "/v1/messages/count_tokens"): self.count_tokens,
        }

    def open(self, call: Call) -> bool:
        listing = call.path in ("/v1/models", "/models") and self._options["lists_openly"]
        return call.path == "/health" or bool(listing)

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
        if self._options["router"] and body.get("model") != MODEL:  # else the name of the model is not looked at
            raise Refused(self.bad(call, f"model '{body.get('model')}' not found"))

    def _loading(self, call: Call, answer: Handler) -> Answer:
        """Answer with the model loaded, as a router does at each request for one."""
        self._options["loaded"] = True
        return answer(call)

    def _props(self, call: Call) -> Answer:
        asked = call.query.get("model")
        if self._options["router"] and asked is None:
            return Answer(body={"role": "router", "default_generation_settings": {"params": None, "n_ctx": 0}})
        if self._options["router"] and asked != MODEL:
            return self.bad(call, f"model '{asked}' not found")
        if self._options["router"] and not self._options["loaded"]:
            if call.query.get("autoload") == "false":
                return self.bad(call, "model is not loaded")
            self._options["loaded"] = True
        return Answer(
            body={
                "default_generation_settings": {"n_ctx": self.context},
                "total_slots": 1,
                "model_path": f"/models/{MODEL}-Q4_K_M.gguf",
                "build_info": "b6423-0123abcd",
                "chat_template_caps": {"supports_tools": True},
                "modalities": {"vision": self._options["habit"] != "text only", "audio": False},
            }
        )

    def _models(self, _: Call) -> Answer:
        entry = {"id": MODEL, "object": "model", "owned_by": "llamacpp"}
        loaded = {"meta": {"n_ctx": self.context}} if self._options["loaded"] else {}
        if not self._options["router"]:
            return Answer(body={"object": "list", "data": [entry | loaded]})
        status = {"value": "loaded" if loaded else "unloaded"}
        other = {"id": "other", "object": "model", "owned_by": "llamacpp", "status": {"value": "unloaded"}}
        return Answer(body={"object": "list", "data": [other, {**entry, "status": status, **loaded}]})

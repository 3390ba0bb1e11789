"""vLLM's OpenAI-compatible server with its Anthropic endpoint.

Shapes: https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html; words: see each.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tests.lab.simulators.model import Prompt
from tests.lab.simulators.personalities.model_server import Handler, ModelServer
from tests.lab.simulators.protocol import Answer, Call, FaultKind, Refused

MODEL = "devstral"  # --served-model-name

# assumed, but for 401 (its middleware for --api-key)
FAILURES = {
    "401": "Unauthorized",
    "429": "Too many requests",
    "500": "EngineCore encountered an issue. See stack trace (above) for the root cause.",
    "503": "Service Unavailable",
    "529": "Overloaded",
}


class VLLM(ModelServer):
    name = "vllm"
    port = 8000
    title = "vLLM"
    model = MODEL
    token = "vllm-lab-token"  # noqa: S105 (made up)
    # tool_parser: started with --enable-auto-tool-choice and --tool-call-parser
    options: ClassVar = {"require_authentication": False, "context_length": 32768, "tool_parser": True}

    def routes(self) -> dict[tuple[str, str], Handler]:
        return {
            ("GET", "/health"): lambda _: Answer(body=""),
            ("GET", "/version"): lambda _: Answer(body={"version": "0.19.0"}),
            ("GET", "/v1/models"): self._models,
            ("POST", "/v1/chat/completions"): self.chat,
            ("POST", "/v1/messages"): self.messages,
        }

    def open(self, call: Call) -> bool:
        return not call.path.startswith("/v1")

    def error(self, call: Call, kind: FaultKind, retry_after: int) -> Answer:  # noqa: ARG002
        if kind == "401":
            return Answer(401, {"error": FAILURES[kind]})
        return Answer(int(kind), _error(FAILURES[kind], "InternalServerError", int(kind)))

    def fits(self, call: Call, prompt: Prompt) -> None:
        # Prompt and answer share the context (vllm-project/vllm#20409).
        asked = prompt.tokens() + (prompt.max_tokens or 0)
        if asked > self.context:
            raise Refused(self.overflow(call, asked, self.context))
        super().fits(call, prompt)

    def overflow(self, call: Call, asked: int, context: int) -> Answer:
        # vllm-project/vllm#20409; since then inside of "error"
        message = (
            f"This model's maximum context length is {context} tokens. However, you requested {asked} tokens in the "
            "messages. Please reduce the length of the messages or completion."
        )
        return self.bad(call, message)

    def bad(self, call: Call, message: str) -> Answer:
        if call.path == "/v1/messages":
            return Answer(400, {"type": "error", "error": {"type": "invalid_request_error", "message": message}})
        return Answer(400, _error(message, "BadRequestError", 400))

    def late_system(self, call: Call) -> Answer:
        if call.path != "/v1/messages":  # by the model's template: vllm-project/vllm/issues/41114
            return super().late_system(call)
        # vllm-project/vllm/issues/44000, up to 0.22
        message = (
            "1 validation error:\n  {'type': 'literal_error', 'loc': ('body', 'messages', 1, 'role'), 'msg': \"Input "
            "should be 'user' or 'assistant'\", 'input': 'system', 'ctx': {'expected': \"'user' or 'assistant'\"}}"
        )
        return Answer(400, _error(message, "Bad Request", 400))

    def unseen_image(self, call: Call) -> Answer:
        return self.bad(call, f"{MODEL} is not a multimodal model")  # vllm-project/vllm/issues/19144

    def check(self, call: Call, body: dict[str, Any]) -> None:
        if body.get("model") != MODEL:
            message = f"The model `{body.get('model')}` does not exist."
            raise Refused(Answer(404, _error(message, "NotFoundError", 404)))
        if body.get("tools") and body.get("tool_choice", "auto") == "auto" and not self._options["tool_parser"]:
            raise Refused(
                self.bad(call, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set')
            )

    def _models(self, _: Call) -> Answer:
        entry = {
            "id": MODEL,
            "object": "model",
            "owned_by": "vllm",
            "root": "mistralai/Devstral-2-123B-Instruct-2512",
            "max_model_len": self.context,
        }
        return Answer(body={"object": "list", "data": [entry]})


def _error(message: str, kind: str, code: int) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}

"""OpenRouter: /api/v1/chat/completions and /api/v1/models (https://openrouter.ai/docs/api-reference/overview)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

from tests.lab.simulators.personalities.model_server import Handler, ModelServer
from tests.lab.simulators.protocol import Answer, Call, FaultKind, Refused, sse

MODEL = "z-ai/glm-4.7"
API_KEY = "sk-or-v1-lab-0000-accepted-by-the-simulated-openrouter"
PRICE = {"prompt": 0.6e-6, "completion": 2.2e-6}  # USD a token: made up

# kind: status, message
ERRORS: dict[str, tuple[int, str]] = {
    "401": (401, "User not found."),  # assumed, as users report it
    "402": (
        402,
        "Insufficient credits. Add more using https://openrouter.ai/settings/credits",
    ),  # open-assistant-org/open-assistant#80
    "quota": (
        402,
        "This request requires more credits, or fewer max_tokens. You requested up to 32000 tokens, but can only "
        "afford 2666. To increase, visit https://openrouter.ai/settings/credits and upgrade to a paid account",
    ),  # QwenLM/qwen-code#73
    "429": (429, "Provider returned error"),  # assumed
    "500": (500, "Internal Server Error"),
    "503": (503, "No instances available"),
    "529": (502, "Provider returned error"),
}


class OpenRouter(ModelServer):
    name = "openrouter"
    port = 8086
    title = "OpenRouter"
    model = MODEL
    token = API_KEY
    options: ClassVar = {"require_authentication": True, "context_length": 202752}

    def routes(self) -> dict[tuple[str, str], Handler]:
        return {("GET", "/api/v1/models"): self._models, ("POST", "/api/v1/chat/completions"): self._chat}

    def open(self, call: Call) -> bool:
        return call.path == "/api/v1/models"

    def error(self, call: Call, kind: FaultKind, retry_after: int) -> Answer:  # noqa: ARG002
        status, message = ERRORS[kind]
        return Answer(status, _error(message, status), {"retry-after": str(retry_after)} if kind == "429" else {})

    def overflow(self, call: Call, asked: int, context: int) -> Answer:  # noqa: ARG002
        message = (
            f"This endpoint's maximum context length is {context} tokens. However, you requested about {asked} tokens. "
            'Please reduce the length of either one, or use the "middle-out" transform to compress your prompt '
            "automatically."
        )
        return Answer(400, _error(message, 400))

    def bad(self, call: Call, message: str) -> Answer:  # noqa: ARG002
        return Answer(400, _error(message, 400))

    def check(self, call: Call, body: dict[str, Any]) -> None:
        if body.get("model") != MODEL:
            raise Refused(self.bad(call, f"{body.get('model')} is not a valid model ID"))

    def _models(self, _: Call) -> Answer:
        prices = {name: f"{each:.10f}" for name, each in PRICE.items()}
        return Answer(body={"data": [{"id": MODEL, "context_length": self.context, "pricing": prices}]})

    def _chat(self, call: Call) -> Answer:
        answer = self.chat(call)
        if answer.events is None:
            return replace(answer, body=_with_cost(answer.body))
        return replace(answer, events=_costing(answer.events))


def _with_cost(body: dict[str, Any]) -> dict[str, Any]:
    """The answer with what it cost, which its usage always has."""
    usage = body.get("usage")
    if not usage:
        return body
    cost = usage["prompt_tokens"] * PRICE["prompt"] + usage["completion_tokens"] * PRICE["completion"]
    return {**body, "usage": {**usage, "cost": cost, "is_byok": False}}


def _costing(events: Iterator[bytes]) -> Iterator[bytes]:
    yield b": OPENROUTER PROCESSING\n\n"  # its docs, "Streaming": comments keep a connection open
    for event in events:
        data = event.removeprefix(b"data: ").strip()
        yield event if data == b"[DONE]" else sse(_with_cost(json.loads(data)))


def _error(message: str, code: int) -> dict[str, Any]:
    return {"error": {"message": message, "code": code}}

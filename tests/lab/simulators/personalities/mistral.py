"""The Mistral API: /v1/chat/completions and /v1/models (https://docs.mistral.ai/api); strict about what it is sent."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, ClassVar

from tests.lab.simulators.model import Prompt, Reply
from tests.lab.simulators.personalities.model_server import Handler, ModelServer
from tests.lab.simulators.protocol import Answer, Call, FaultKind, Refused

MODEL = "mistral-medium-latest"
API_KEY = "mistral-lab-0000-accepted-by-the-simulated-api"

# of the API's reference, chat completion
FIELDS = {
    "model", "messages", "temperature", "top_p", "max_tokens", "stream", "stop", "random_seed", "response_format",
    "tools", "tool_choice", "presence_penalty", "frequency_penalty", "n", "prediction", "parallel_tool_calls",
    "prompt_mode", "reasoning_effort", "safe_prompt", "metadata", "guardrails", "prompt_cache_key",
}  # fmt: skip


class Mistral(ModelServer):
    name = "mistral"
    port = 8082
    title = "Mistral"
    model = MODEL
    token = API_KEY
    options: ClassVar = {"require_authentication": True, "context_length": 131072}

    def reply(self, prompt: Prompt) -> Reply:
        reply = super().reply(prompt)
        return replace(reply, call=replace(reply.call, id=reply.call.id[:9])) if reply.call else reply

    def routes(self) -> dict[tuple[str, str], Handler]:
        return {
            ("GET", "/v1/models"): lambda _: Answer(
                body={"object": "list", "data": [{"id": MODEL, "object": "model", "max_context_length": self.context}]}
            ),
            ("POST", "/v1/chat/completions"): self.chat,
        }

    def error(self, call: Call, kind: FaultKind, retry_after: int) -> Answer:  # noqa: ARG002
        if kind == "401":
            return Answer(401, {"detail": "Unauthorized"})  # diegosouzapw/OmniRoute#7638
        if kind == "429":
            # raycast/extensions#31107
            body = {"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "param": None}
            return Answer(429, {**body, "code": "1300", "raw_status_code": 429})
        said = {"500": "Internal server error", "503": "Service unavailable"}.get(kind, "Overloaded")  # assumed
        return Answer(int(kind), _error(said, "internal_server_error", "3000"))

    def overflow(self, call: Call, asked: int, context: int) -> Answer:  # noqa: ARG002
        # assumed, after what users report of it
        message = f"Prompt contains {asked} tokens, too large for model with {context} maximum context length"
        return Answer(400, _error(message, "invalid_request_message", "3051"))

    def bad(self, call: Call, message: str) -> Answer:  # noqa: ARG002
        return Answer(400, _error(message, "invalid_request_message", "3240"))

    def check(self, call: Call, body: dict[str, Any]) -> None:
        if unknown := sorted(set(body) - FIELDS):  # dnakov/anon-kode#53 saw it of stream_options
            said = [
                {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"}
                for name in unknown
            ]
            raise Refused(
                Answer(422, {"object": "error", "message": {"detail": said}, "type": "invalid_request_error"})
            )
        if body.get("model") != MODEL:
            raise Refused(Answer(400, _error(f"Invalid model: {body.get('model')}", "invalid_model", "1500")))
        for message in body["messages"]:
            for given in [*(message.get("tool_calls") or ()), message]:
                name = given.get("id") if given is not message else message.get("tool_call_id")
                if name is not None and not re.fullmatch(r"[A-Za-z0-9]{9}", str(name)):
                    raise Refused(
                        self.bad(call, f"Tool call id was {name} but must be a-z, A-Z, 0-9, with a length of 9.")
                    )
        if body["messages"][-1]["role"] not in ("user", "tool"):
            role = body["messages"][-1]["role"]
            raise Refused(self.bad(call, f"Expected last role User or Tool for serving but got {role}"))


def _error(message: str, kind: str, code: str) -> dict[str, Any]:
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code}

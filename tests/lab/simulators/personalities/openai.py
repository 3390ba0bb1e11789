"""OpenAI's API: /v1/responses, /v1/chat/completions and /v1/models (https://platform.openai.com/docs/api-reference)."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.lab.simulators.personalities.model_server import Handler, ModelServer
from tests.lab.simulators.protocol import Answer, Call, FaultKind, Refused
from tests.lab.simulators.wire import openai_responses

MODEL = "gpt-5.2"
API_KEY = "sk-proj-lab-0000-accepted-by-the-simulated-openai"

# of the API's reference, create a response
FIELDS = {
    "background", "context_management", "conversation", "include", "input", "instructions", "max_output_tokens",
    "max_tool_calls", "metadata", "model", "parallel_tool_calls", "previous_response_id", "prompt", "prompt_cache_key",
    "prompt_cache_retention", "reasoning", "safety_identifier", "service_tier", "store", "stream", "stream_options",
    "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user",
}  # fmt: skip
QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this error, "
    "read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
)  # ChatGPTNextWeb/NextChat#3664
# kind: status, message, type, code; but for 429 of a quota the words are assumed
ERRORS: dict[str, tuple[int, str, str, str | None]] = {
    "401": (401, "Incorrect API key provided: sk-lab.", "invalid_request_error", "invalid_api_key"),
    "402": (429, QUOTA, "insufficient_quota", "insufficient_quota"),  # Pythagora-io/gpt-pilot#340: the status
    "quota": (429, QUOTA, "insufficient_quota", "insufficient_quota"),
    "429": (429, "Rate limit reached for gpt-5.2 on tokens per min (TPM).", "tokens", "rate_limit_exceeded"),
    "500": (500, "The server had an error while processing your request. Sorry about that!", "server_error", None),
    "503": (503, "The engine is currently overloaded, please try again later.", "server_error", None),
    "529": (503, "The engine is currently overloaded, please try again later.", "server_error", None),
}


class OpenAI(ModelServer):
    name = "openai"
    port = 8084
    title = "OpenAI"
    model = MODEL
    token = API_KEY
    options: ClassVar = {"require_authentication": True, "context_length": 400000}

    def routes(self) -> dict[tuple[str, str], Handler]:
        return {
            ("GET", "/v1/models"): lambda _: Answer(
                body={"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "system"}]}
            ),
            ("POST", "/v1/chat/completions"): self.chat,
            ("POST", "/v1/responses"): self._respond,
        }

    def error(self, call: Call, kind: FaultKind, retry_after: int) -> Answer:  # noqa: ARG002
        status, message, error, code = ERRORS[kind]
        headers = {"retry-after": str(retry_after)} if kind == "429" else {}
        return Answer(status, _error(message, error, code), headers)

    def overflow(self, call: Call, asked: int, context: int) -> Answer:  # noqa: ARG002
        message = "Your input exceeds the context window of this model. Please adjust your input and try again."
        return Answer(400, _error(message, "invalid_request_error", "context_length_exceeded", "input"))

    def bad(self, call: Call, message: str) -> Answer:  # noqa: ARG002
        return Answer(400, _error(message, "invalid_request_error", None))

    def check(self, call: Call, body: dict[str, Any]) -> None:  # noqa: ARG002
        if "max_tokens" in body:  # as its models since o1; the words: assumed
            said = "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
            error = _error(
                f"Unsupported parameter: {said}", "invalid_request_error", "unsupported_parameter", "max_tokens"
            )
            raise Refused(Answer(400, error))
        self._known(body)

    def _known(self, body: dict[str, Any]) -> None:
        if body.get("model") != MODEL:
            message = f"The model `{body.get('model')}` does not exist or you do not have access to it."
            raise Refused(Answer(404, _error(message, "invalid_request_error", "model_not_found")))

    def _respond(self, call: Call) -> Answer:
        try:
            body = call.json
        except ValueError as error:
            raise Refused(self.bad(call, str(error))) from None
        if unknown := sorted(set(body) - FIELDS):
            error = _error(
                f"Unknown parameter: '{unknown[0]}'.", "invalid_request_error", "unknown_parameter", unknown[0]
            )
            raise Refused(Answer(400, error))
        if body.get("max_output_tokens", 16) < 16:
            raise Refused(self.bad(call, "Invalid 'max_output_tokens': integer below minimum value. Expected >= 16."))
        self._known(body)
        prompt = openai_responses.prompt(body, MODEL)
        self.fits(call, prompt)
        whole = openai_responses.response(self.reply(prompt), body, MODEL)
        return Answer(events=openai_responses.events(whole)) if body.get("stream") else Answer(body=whole)


def _error(message: str, kind: str, code: str | None, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}

"""What LM Studio refuses and how it fails, as users reported it; each says where, or "assumed"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.lab.simulators.protocol import Answer, Call, Refused

API_TOKEN = "sk-lm-lab00000:accepted-by-simulator"  # noqa: S105 (made up; shape of agustif/opencode-lmstudio#41)

# agustif/opencode-lmstudio#41, LM Studio 0.4.18
UNAUTHENTICATED = {
    "error": {
        "type": "invalid_request",
        "code": "invalid_api_key",
        "message": (
            "An LM Studio API token is required to make requests to this server, but none was provided using the "
            "Authorization header using the 'Bearer' scheme (i.e., 'Authorization: Bearer $LM_API_TOKEN'). Learn more "
            "at: https://lmstudio.ai/docs/developer/core/authentication."
        ),
    }
}

# LM Studio documents none of these; status and words are assumed, but for the crash (lmstudio-bug-tracker#1620)
FAILURES: dict[str, str] = {
    "429": "Too many requests",
    "500": "The model crashed without additional information. (Exit code: null)",
    "503": "Service unavailable",
    "529": "Overloaded",
}


def authenticate(call: Call) -> None:
    """With "Require Authentication": refuse a request without the token."""
    if call.credential is None:
        raise Refused(Answer(401, UNAUTHENTICATED))
    if call.credential != API_TOKEN:
        message = "Invalid LM Studio API token"  # assumed
        raise Refused(Answer(401, {"error": {**UNAUTHENTICATED["error"], "message": message}}))


def speaks_anthropic(call: Call) -> bool:
    """Whether the request is to the Anthropic endpoint, whose errors have that vendor's shape."""
    return call.path.startswith("/v1/messages")


def anthropic_error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def openai_error(message: str, code: str | None, param: str = "model") -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def native_error(kind: str, message: str) -> dict[str, Any]:
    return {"error": {"type": kind, "message": message}}


def overflow(call: Call, asked: int, context: int) -> Answer:
    """The refusal of a prompt of `asked` tokens by a model with `context`."""
    # Gitlawb/openclaude#353 (0.4, April 2026), status 400 and the error a plain text
    message = (
        f"The number of tokens to keep from the initial prompt is greater than the context length (n_keep: {asked}>= "
        f"n_ctx: {context}). Try to load the model with a larger context length, or provide a shorter input."
    )
    if speaks_anthropic(call):
        # https://utensils.io/claudette/features/providers/lm-studio/: 500 and api_error, so clients try again
        return Answer(500, anthropic_error("api_error", message))
    return Answer(400, {"error": message})


def json_object(call: Call) -> dict[str, Any]:
    """The body, which must be a JSON object."""
    try:
        body = call.json
    except ValueError as error:
        # lmstudio-bug-tracker#1879 has these words in the log; that the client gets them: assumed
        message = f"Received request for {call.path} with invalid JSON: {error}"
        raise Refused(Answer(400, {"error": message})) from None
    if not isinstance(body, dict):
        raise Refused(Answer(400, {"error": "Request body must be a JSON object"}))  # assumed
    return body


ROLES = ("system", "developer", "user", "assistant", "tool")


def check_chat(body: dict[str, Any]) -> None:
    """Refuse a chat request that LM Studio does not take."""
    for message in _chat_problems(body):
        raise Refused(Answer(400, {"error": message}))


def _chat_problems(body: dict[str, Any]) -> Iterator[str]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        yield "'messages' field is required"  # Govorunb/gary#10
    for message in messages or ():
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            yield f"Invalid 'messages' in payload: role must be one of {', '.join(ROLES)}"  # assumed
        elif message["role"] != "assistant" and message.get("content") in (None, ""):
            yield "'messages' array must only contain objects with a 'content' field that is not empty"  # assumed
    choice = body.get("tool_choice")
    if choice is not None and not isinstance(choice, str):
        # lmstudio-bug-tracker#670
        yield f"Invalid tool_choice type: '{_js_type(choice)}'. Supported string values: none, auto, required"
    elif choice not in (None, "none", "auto", "required"):
        yield f"Invalid tool_choice: '{choice}'. Supported string values: none, auto, required"  # assumed
    form = body.get("response_format")
    if isinstance(form, dict) and form.get("type") not in ("json_schema", "text"):
        yield "'response_format.type' must be 'json_schema' or 'text'"  # LoadShine/tada#16
    for tool in body.get("tools") or ():
        if not isinstance(tool, dict) or tool.get("type") != "function" or not tool.get("function", {}).get("name"):
            yield "Invalid 'tools' in payload: each tool must be of type 'function' and have a name"  # assumed


def _js_type(value: Any) -> str:
    return {bool: "boolean", int: "number", float: "number"}.get(type(value), "object")

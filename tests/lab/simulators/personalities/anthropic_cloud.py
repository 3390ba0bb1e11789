"""The Claude API: /v1/messages, /v1/messages/count_tokens, /v1/models.

Errors: https://docs.claude.com/en/api/errors gives status, type and shape; the words of each are from where its
comment says, or assumed.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from tests.lab.simulators.model import SAYING, answer, tokens
from tests.lab.simulators.personalities import anthropic_rules as rules
from tests.lab.simulators.protocol import Answer, Call, FaultKind, Refused, sse
from tests.lab.simulators.wire import anthropic_messages as wire
from tests.lab.simulators.wire.anthropic_schema import CountTokens, Messages, first_error

API_KEY = "sk-ant-lab-0000-accepted-by-the-simulated-claude-api-only"
MAX_BODY = 32 * 1024 * 1024  # docs, "Errors": request size limits
MAX_PAGE = 1000  # docs, "List models"

# kind: status, error type, message
ERRORS: dict[str, tuple[int, str, str]] = {
    "401": (401, "authentication_error", "invalid x-api-key"),  # ITSpecialist111/ai_automation_suggester#153
    "402": (402, "billing_error", "Your credit balance is too low to access the Anthropic API."),  # docs, "Errors"
    "quota": (
        400,
        "invalid_request_error",
        "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
    ),  # anthropics/claude-code#38038
    "429": (
        429,
        "rate_limit_error",
        "This request would exceed your account's rate limit. Please try again later.",  # anthropics/claude-code#71669
    ),
    "500": (500, "api_error", "Internal server error"),  # anthropics/claude-code#23117
    "503": (503, "api_error", "Service Unavailable"),  # assumed: the docs know no 503
    "529": (529, "overloaded_error", "Overloaded"),  # docs, "Errors"
}


class AnthropicCloud:
    """The Claude API; what a cloud with the same API has otherwise is in its members and hooks.

    title: the name the model gives its server. models, aliases: what it serves. key: the key that it takes.
    """

    name = "anthropic"
    port = 8081
    title = "Anthropic"
    models = rules.MODELS
    aliases: Mapping[str, str] = rules.ALIASES
    key = API_KEY

    def configure(self, **options: Any) -> dict[str, Any]:
        if options:
            raise ValueError(f"unknown options: {', '.join(options)}; the simulated Claude API has none")
        return {}

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._cached: set[str] = set()  # prefixes of prompts, as digests

    def handle(self, call: Call) -> Answer:
        request_id = _request_id()
        headers = {"request-id": request_id, "anthropic-organization-id": "00000000-0000-0000-0000-00000000001a"}
        try:
            given = self._route(call)
        except Refused as refused:
            body = {**refused.answer.body, "request_id": request_id}
            return Answer(refused.answer.status, body, {**refused.answer.headers, **headers})
        return Answer(given.status, given.body, {**given.headers, **headers}, given.events)

    def failure(self, call: Call, kind: FaultKind, retry_after: int) -> Answer:
        if kind == "overflow":
            status, error, message = _overflow(call)
        else:
            status, error, message = ERRORS[kind]
        request_id = _request_id()
        headers = {"request-id": request_id}
        if kind == "429":
            headers |= {"retry-after": str(retry_after), **_rate_limits(remaining=0, reset_in=retry_after)}
        return Answer(status, {**_error(error, message), "request_id": request_id}, headers)

    def stream_failure(self, call: Call, kind: FaultKind) -> bytes:
        # docs, "Streaming messages", error events
        answer = self.failure(call, kind, 1)
        return sse({"type": "error", "error": answer.body["error"]}, "error")

    def _route(self, call: Call) -> Answer:
        path = call.path.rstrip("/") or "/"
        routes = {
            ("POST", "/v1/messages"): self._messages,
            ("POST", "/v1/messages/count_tokens"): self._count,
            ("GET", "/v1/models"): self._models,
        }
        handler = routes.get((call.method, path))
        if path == "/api/hello" and call.method in ("GET", "HEAD"):
            return Answer(body={"message": "hello"})  # Claude Code 2.1.329 asks before it starts; the body: assumed
        if handler is None and call.method == "GET" and path.startswith("/v1/models/"):
            handler = self._model
        if handler is None:
            known = {route for _, route in routes}
            if path in known:
                raise _refuse(405, "invalid_request_error", "Method Not Allowed")  # assumed
            raise _refuse(404, "not_found_error", "Not Found")  # assumed
        if denied := self.denied(call):
            raise Refused(denied)
        version = call.headers.get("anthropic-version")
        if not version:
            # Pasta-Devs/Marinara-Engine#120
            raise _refuse(400, "invalid_request_error", "anthropic-version: header is required")
        if version not in rules.VERSIONS:
            message = f'anthropic-version: "{version}" is not a valid version'  # assumed
            raise _refuse(400, "invalid_request_error", message)
        if refusal := self.refusal(call):
            raise _refuse(400, "invalid_request_error", refusal)
        return handler(call)

    def denied(self, call: Call) -> Answer | None:
        """The answer to a request without the right key."""
        if call.credential is None:
            said = "x-api-key header is required"  # karthink/gptel#354
        elif call.credential != self.key:
            # by key as above; by token: anthropics/claude-code#84903
            said = "invalid x-api-key" if "x-api-key" in call.headers else "Invalid bearer token"
        else:
            return None
        return Answer(401, _error("authentication_error", said))

    def refusal(self, call: Call) -> str | None:
        """Why a request is refused before its body is looked at."""
        return rules.unknown_betas(call.headers.get("anthropic-beta"))

    def _find(self, name: str) -> rules.Model:
        wanted = self.aliases.get(name, name)
        for model in self.models:
            if model.id == wanted:
                return model
        raise _refuse(404, "not_found_error", f"model: {name}")  # anthropics/claude-code#5349

    def _messages(self, call: Call) -> Answer:
        request, model = self._read(call, Messages)
        prompt = wire.prompt(request)
        asked = prompt.tokens()
        if request.max_tokens > model.max_output:
            # the words: assumed
            message = (
                f"max_tokens: {request.max_tokens} > {model.max_output}, which is the maximum allowed number of "
                f"output tokens for {request.model}"
            )
            raise _refuse(400, "invalid_request_error", message)
        if asked > model.context:
            raise _refuse(400, "invalid_request_error", _too_long(asked, model.context))
        reply = answer(prompt, self.title)
        read, written = self._cache(request, asked)
        if saying := SAYING.get():
            saying.cached, saying.written = read, written
        usage = {
            "input_tokens": asked - read - written,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": read,
            "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
            "service_tier": "standard",
        }
        message = wire.message(reply, request.model, usage)
        limits = _rate_limits()
        if request.stream:
            return Answer(headers=limits, events=wire.events(message))
        return Answer(body=message, headers=limits)

    def _cache(self, request: Messages, asked: int) -> tuple[int, int]:
        """How many of the tokens are read from the cache and written to it: up to the blocks with cache_control."""
        digest, size, marks = hashlib.sha256(request.model.encode()), 0, list[tuple[str, int]]()
        system = request.system if isinstance(request.system, list) else []
        for block in (*(request.tools or ()), *system, *(block for each in request.messages for block in each.blocks)):
            text = block.model_dump_json(exclude={"cache_control"}, exclude_none=True)
            digest.update(text.encode())
            size += len(text)
            if getattr(block, "cache_control", None):
                marks.append((digest.hexdigest(), min(tokens("x" * size), asked - 1)))
        read = max((count for mark, count in marks if mark in self._cached), default=0)
        self._cached |= {mark for mark, _ in marks}
        return read, max((count for _, count in marks), default=0) - read

    def _read(self, call: Call, shape: type[Any]) -> tuple[Any, rules.Model]:
        """The body in this shape, and its model; every check that the vendor makes before it answers."""
        if len(call.body) > MAX_BODY:
            raise _refuse(413, "request_too_large", "Request exceeds the maximum size")  # docs, "Errors"
        try:
            body = call.json
        except ValueError as error:
            # anthropics/claude-code#77525
            raise _refuse(400, "invalid_request_error", f"The request body is not valid JSON: {error}") from None
        if not isinstance(body, dict):
            raise _refuse(400, "invalid_request_error", "Input should be a valid dictionary")  # assumed
        try:
            request = shape.model_validate(body)
        except ValidationError as error:
            raise _refuse(400, "invalid_request_error", first_error(error)) from None
        model = self._find(request.model)
        asked = rules.split(call.headers.get("anthropic-beta"))
        if refusal := rules.first_refusal(request, model, call.headers["anthropic-version"], asked):
            raise _refuse(400, "invalid_request_error", refusal)
        return request, model

    def _count(self, call: Call) -> Answer:
        request, _ = self._read(call, CountTokens)
        return Answer(body={"input_tokens": wire.prompt(request).tokens()})

    def _models(self, call: Call) -> Answer:
        limit = call.query.get("limit", "20")
        if not limit.isdigit() or not 1 <= int(limit) <= MAX_PAGE:
            message = f"limit: Input should be between 1 and {MAX_PAGE}"  # assumed
            raise _refuse(400, "invalid_request_error", message)
        listed = [_info(model) for model in self.models]
        ids = [entry["id"] for entry in listed]
        if (after := call.query.get("after_id")) in ids:
            listed = listed[ids.index(after) + 1 :]
        if (before := call.query.get("before_id")) in ids:
            listed = [entry for entry in listed if ids.index(entry["id"]) < ids.index(before)]
        page = listed[: int(limit)]
        return Answer(
            body={
                "data": page,
                "has_more": len(listed) > len(page),
                "first_id": page[0]["id"] if page else None,
                "last_id": page[-1]["id"] if page else None,
            }
        )

    def _model(self, call: Call) -> Answer:
        return Answer(body=_info(self._find(call.path.removeprefix("/v1/models/").rstrip("/"))))


def _request_id() -> str:
    return f"req_{secrets.token_hex(12)}"


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def _refuse(status: int, kind: str, message: str) -> Refused:
    return Refused(Answer(status, _error(kind, message)))


def _too_long(asked: int, context: int) -> str:
    return f"prompt is too long: {asked} tokens > {context} maximum"  # anthropics/claude-code#12186


def _overflow(call: Call) -> tuple[int, str, str]:
    """The refusal of a prompt that does not fit, with numbers that fit the request."""
    try:
        asked = wire.prompt(Messages.model_validate(call.json)).tokens()
    except ValueError:
        asked = 1
    return 400, "invalid_request_error", _too_long(200_000 + asked, 200_000)


def _rate_limits(remaining: int = 999, reset_in: int = 1) -> dict[str, str]:
    """Headers of a recorded answer of the API (CRAN tidyllm's tests); times are RFC 3339."""
    reset = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + reset_in))
    headers = {}
    limits = {"requests": 1000, "input-tokens": 80_000, "output-tokens": 16_000, "tokens": 96_000}
    for what, limit in limits.items():
        headers[f"anthropic-ratelimit-{what}-limit"] = str(limit)
        headers[f"anthropic-ratelimit-{what}-remaining"] = str(min(remaining, limit) if what == "requests" else limit)
        headers[f"anthropic-ratelimit-{what}-reset"] = reset
    return headers


def _info(model: rules.Model) -> dict[str, Any]:
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.display_name,
        "created_at": model.created_at,
        "lifecycle": "active",
        "line": model.line,
        "max_input_tokens": model.context,
        "max_tokens": model.max_output,
    }

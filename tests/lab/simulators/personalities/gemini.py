"""Gemini by Google's AI Studio: /v1beta/models/MODEL:generateContent and :streamGenerateContent; strict in schemas."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from tests.lab.simulators.personalities.model_server import Handler, ModelServer
from tests.lab.simulators.protocol import Answer, Call, FaultKind, Refused
from tests.lab.simulators.wire import gemini as wire

MODEL = "gemini-3-pro"
API_KEY = "AIzaLab-0000-accepted-by-the-simulated-gemini"
FIELDS = {
    "contents", "tools", "toolConfig", "tool_config", "safetySettings", "safety_settings", "systemInstruction",
    "system_instruction", "generationConfig", "generation_config", "cachedContent", "cached_content", "labels",
}  # fmt: skip
# of a schema in `parameters`; what is not among them is refused by the docs of Schema
SCHEMA = {
    "type", "format", "title", "description", "nullable", "enum", "maxItems", "minItems", "properties", "required",
    "minProperties", "maxProperties", "minLength", "maxLength", "pattern", "example", "anyOf", "propertyOrdering",
    "default", "items", "minimum", "maximum", "min_items", "max_items", "any_of", "property_ordering",
}  # fmt: skip
QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this error, "
    "head to: https://ai.google.dev/gemini-api/docs/rate-limits."
)  # itcon-pty-au/stremio-ai-search#147
# kind: status, its name, message
ERRORS: dict[str, tuple[int, str, str]] = {
    "401": (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),  # the vendor's docs
    "402": (429, "RESOURCE_EXHAUSTED", QUOTA),
    "quota": (429, "RESOURCE_EXHAUSTED", QUOTA),
    "429": (
        429,
        "RESOURCE_EXHAUSTED",
        "Resource has been exhausted (e.g. check quota).",
    ),  # google-gemini/gemini-cli#2020
    "500": (500, "INTERNAL", "An internal error has occurred."),
    "503": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "529": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
}


class Gemini(ModelServer):
    name = "gemini"
    port = 8085
    title = "Gemini"
    model = MODEL
    token = API_KEY
    options: ClassVar = {"require_authentication": True, "context_length": 1048576}

    def handle(self, call: Call) -> Answer:
        if API_KEY not in (call.headers.get("x-goog-api-key"), call.query.get("key")):
            raise Refused(self.error(call, "401", 0))
        if call.method == "GET" and call.path == "/v1beta/models":
            listed = {"name": f"models/{MODEL}", "inputTokenLimit": self.context, "outputTokenLimit": 65536}
            return Answer(body={"models": [listed]})
        asked = re.fullmatch(r"/v1beta/models/([^/:]+):(\w+)", call.path)
        if not asked or call.method != "POST" or asked[2] not in ("generateContent", "streamGenerateContent"):
            raise Refused(self.unknown(call))
        if asked[1] != MODEL:
            said = f"models/{asked[1]} is not found for API version v1beta, or is not supported for {asked[2]}."
            raise Refused(Answer(404, _error(404, "NOT_FOUND", said)))
        return self._generate(call, stream=asked[2] == "streamGenerateContent")

    def routes(self) -> dict[tuple[str, str], Handler]:
        return {}

    def error(self, call: Call, kind: FaultKind, retry_after: int) -> Answer:  # noqa: ARG002
        status, name, message = ERRORS[kind]
        return Answer(status, _error(status, name, message))

    def overflow(self, call: Call, asked: int, context: int) -> Answer:
        said = f"The input token count ({asked}) exceeds the maximum number of tokens allowed ({context})."
        return self.bad(call, said)

    def bad(self, call: Call, message: str) -> Answer:  # noqa: ARG002
        return Answer(400, _error(400, "INVALID_ARGUMENT", message))

    def _generate(self, call: Call, *, stream: bool) -> Answer:
        try:
            body = call.json
        except ValueError as error:
            raise Refused(self.bad(call, str(error))) from None
        if unknown := [*sorted(set(body) - FIELDS), *_strange(body)]:
            said = f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.'
            raise Refused(self.bad(call, said))
        if not body.get("contents"):
            raise Refused(self.bad(call, "* GenerateContentRequest.contents: contents is not specified"))
        prompt = wire.prompt(body, MODEL)
        self.fits(call, prompt)
        reply = self.reply(prompt)
        return Answer(events=wire.events(reply, MODEL)) if stream else Answer(body=wire.response(reply, MODEL))


def _strange(body: dict[str, Any]) -> Iterator[str]:
    """Yield what no schema of a function may have."""
    for tool in body.get("tools") or ():
        for each in tool.get("functionDeclarations") or tool.get("function_declarations") or ():
            yield from _in_schema(each.get("parameters"))


def _in_schema(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from sorted(set(schema) - SCHEMA)
        for below in (*(schema.get("properties") or {}).values(), schema.get("items"), *(schema.get("anyOf") or ())):
            yield from _in_schema(below)


def _error(status: int, name: str, message: str) -> dict[str, Any]:
    return {"error": {"code": status, "message": message, "status": name}}

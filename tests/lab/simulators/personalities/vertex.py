"""Google's Vertex AI, for Claudes: …/publishers/anthropic/models/ID:rawPredict and :streamRawPredict.

https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude. And /token, which gives out
what a service account asks with (RFC 7523); a token is good for as long as `token_seconds` says.
"""

from __future__ import annotations

import json
import re
import secrets
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.lab.simulators.personalities import anthropic_rules as rules
from tests.lab.simulators.personalities.anthropic_cloud import AnthropicCloud
from tests.lab.simulators.protocol import Answer, Call, FaultKind, Refused

PROJECT, REGION = "lab-project-0000", "us-east5"
MODEL = "claude-sonnet-4-6"
VERSIONS = ("vertex-2023-10-16", "2026-10-21")  # of LiteLLM 1.108, and of Anthropic's own client 2.14
# kind: status, its name, message
ERRORS: dict[str, tuple[int, str, str]] = {
    "401": (
        401,
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential.",
    ),  # assumed, as Google's APIs have it
    "402": (429, "RESOURCE_EXHAUSTED", "Quota exceeded for aiplatform.googleapis.com."),
    "quota": (
        429,
        "RESOURCE_EXHAUSTED",
        "Quota exceeded for aiplatform.googleapis.com/online_prediction_tokens_per_minute_per_base_model with base "
        "model: anthropic-claude-sonnet-4-6. Please submit a quota increase request.",
    ),  # assumed
    "429": (429, "RESOURCE_EXHAUSTED", "Resource exhausted. Please try again later."),
    "500": (500, "INTERNAL", "Internal error encountered."),
    "503": (503, "UNAVAILABLE", "The service is currently unavailable."),
    "529": (503, "UNAVAILABLE", "The service is currently unavailable."),
}


class Vertex(AnthropicCloud):
    name = "vertex"
    port = 8089
    title = "Vertex"
    models = tuple(replace(model, id=model.id.removesuffix("-20251001")) for model in rules.MODELS)
    aliases: Mapping[str, str] = {}
    key = "lab"  # a token takes its place

    def reset(self) -> None:
        super().reset()
        self._tokens: dict[str, float] = {}  # until when each is good
        self._options: dict[str, Any] = {"token_seconds": 3600}

    def configure(self, **options: Any) -> dict[str, Any]:
        if set(options) - set(self._options):
            raise ValueError("there is token_seconds")
        self._options |= options
        return dict(self._options)

    def handle(self, call: Call) -> Answer:
        if (call.method, call.path) == ("POST", "/token"):
            return self._token(call)
        where = f"/v1/projects/{PROJECT}/locations/{REGION}/publishers/anthropic/models/"
        asked = re.fullmatch(rf"{where}([^/:]+):(rawPredict|streamRawPredict)", call.path)
        if not asked or call.method != "POST":
            raise Refused(_error(404, "NOT_FOUND", f"Not found: {call.path}"))
        if self._tokens.get(call.credential or "", 0) < time.time():
            raise Refused(self.failure(call, "401", 0))
        body = call.json
        if "model" in body:
            raise Refused(_error(400, "INVALID_ARGUMENT", "model: Extra inputs are not permitted"))
        if body.pop("anthropic_version", None) not in VERSIONS:
            raise Refused(_error(400, "INVALID_ARGUMENT", "anthropic_version: Field required"))
        body.pop("anthropic_beta", None)
        headers = {"x-api-key": self.key, "anthropic-version": "2023-06-01", "content-type": "application/json"}
        if given := call.headers.get("anthropic-beta"):
            headers["anthropic-beta"] = given
        data = json.dumps({**body, "model": asked[1], "stream": bool(body.get("stream"))}).encode()
        return super().handle(replace(call, path="/v1/messages", headers=headers, body=data))

    def failure(self, call: Call, kind: FaultKind, retry_after: int) -> Answer:
        if kind == "overflow":
            return super().failure(call, kind, retry_after)
        return _error(*ERRORS[kind])

    def _token(self, call: Call) -> Answer:
        asked = urllib.parse.parse_qs(call.body.decode())
        if asked.get("grant_type") != ["urn:ietf:params:oauth:grant-type:jwt-bearer"] or not asked.get("assertion"):
            raise Refused(Answer(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}))
        token, seconds = f"ya29.lab-{secrets.token_hex(8)}", self._options["token_seconds"]
        self._tokens[token] = time.time() + seconds
        return Answer(body={"access_token": token, "expires_in": seconds, "token_type": "Bearer"})


def _error(status: int, name: str, message: str) -> Answer:
    return Answer(status, {"error": {"code": status, "message": message, "status": name}})

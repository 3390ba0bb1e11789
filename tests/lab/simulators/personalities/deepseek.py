"""DeepSeek's Anthropic endpoint, below /anthropic, with what users report of such endpoints.

https://api-docs.deepseek.com/guides/anthropic_api says what is taken, ignored and mapped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.lab.simulators.personalities import anthropic_rules as rules
from tests.lab.simulators.personalities.anthropic_cloud import AnthropicCloud
from tests.lab.simulators.protocol import Answer, Call, FaultKind

API_KEY = "sk-lab-0000-accepted-by-the-simulated-deepseek"
BASE = "/anthropic"
MODEL = "deepseek-v4-pro"
OTHERS = "deepseek-v4-flash"  # which answers to a name that it does not know
BALANCE = {"message": "Insufficient Balance", "type": "unknown_error", "param": None, "code": "invalid_request_error"}


_LIKE = next(model for model in rules.MODELS if model.adaptive and model.budget)  # it takes both kinds of thinking


class DeepSeek(AnthropicCloud):
    name = "deepseek"
    port = 8087
    title = "DeepSeek"
    models = tuple(replace(_LIKE, id=name, context=131072, max_output=65536) for name in (MODEL, OTHERS))
    aliases: Mapping[str, str] = {}
    key = API_KEY

    def handle(self, call: Call) -> Answer:
        if not call.path.startswith(f"{BASE}/") or "//" in call.path:
            return Answer(404, {"error": {"message": "Not Found", "type": "not_found_error"}})
        headers = {name: value for name, value in call.headers.items() if name != "anthropic-beta"}  # it ignores them
        return super().handle(replace(call, path=call.path.removeprefix(BASE), headers=headers))

    def failure(self, call: Call, kind: FaultKind, retry_after: int) -> Answer:
        if kind in ("402", "quota"):
            return Answer(402, {"error": BALANCE})  # 1Panel-dev/MaxKB#3797
        if kind == "401":
            said = "Authentication Fails, Your api key: ****only is invalid"  # assumed, after its OpenAI endpoint's
            return Answer(
                401, {"error": {"message": said, "type": "authentication_error", "code": "invalid_request_error"}}
            )
        return super().failure(call, kind, retry_after)

    def denied(self, call: Call) -> Answer | None:
        keys = {call.headers.get("x-api-key"), call.headers.get("authorization", "").removeprefix("Bearer ")}
        return None if API_KEY in keys else self.failure(call, "401", 0)

    def _find(self, name: str) -> rules.Model:
        known = {model.id: model for model in self.models}
        return known.get(name, known[OTHERS])

    def refusal(self, call: Call) -> str | None:
        body = call.json if call.body else {}
        body = body if isinstance(body, dict) else {}
        thinking = (body.get("thinking") or {}).get("type", "disabled")
        messages = [each for each in body.get("messages") or () if isinstance(each, dict)]
        if any(each.get("role") == "system" for each in messages):
            return "invalid params, chat content has invalid message role: system (2013)"  # MiniMax-AI/MiniMax-M2.7#43
        if thinking == "disabled" and (body.get("output_config") or {}).get("effort"):
            # anthropics/claude-code#65863
            return "thinking options type cannot be disabled when reasoning_effort is set"
        if thinking != "disabled" and any(map(_lost, messages)):
            # anthropics/claude-code#62995
            return "The `content[].thinking` in the thinking mode must be passed back to the API."
        return None


def _lost(message: dict[str, Any]) -> bool:
    content = message.get("content")
    kinds = [each.get("type") for each in content] if isinstance(content, list) else []
    return message.get("role") == "assistant" and "tool_use" in kinds and "thinking" not in kinds

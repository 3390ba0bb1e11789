"""Claude in Azure AI Foundry: the Messages API below /anthropic, with deployments for models, and stricter.

As on the Claude API there is no role "system" among the messages and no adaptive thinking on a model without it
(BerriAI/litellm#33807 measured the same words on both); in the first guide's words no effort xhigh, and fewer betas.
It takes the key as x-api-key or as a Bearer token (the vendor's own docs). Options make it stricter: `wants` takes one
of these alone, `adaptive` False refuses adaptive thinking on every model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.lab.simulators.personalities import anthropic_rules as rules
from tests.lab.simulators.personalities.anthropic_cloud import AnthropicCloud
from tests.lab.simulators.protocol import Answer, Call, FaultKind

API_KEY = "foundry-lab-0000-accepted-by-the-simulated-foundry"
BASE = "/anthropic"

DEPLOYMENTS = tuple(  # two of each: named as the model, and as someone pleased
    replace(model, id=name)
    for model in rules.MODELS
    for name in (model.id.removesuffix("-20251001"), f"lab-{model.line}")
)
# What is behind a beta elsewhere is not all here; which are: assumed.
BETAS = {"claude-code-20250219", "interleaved-thinking-2025-05-14", "fine-grained-tool-streaming-2025-05-14"}
ERRORS = {"401": "Access denied due to invalid subscription key or wrong API endpoint."}


class AzureFoundry(AnthropicCloud):
    name = "foundry"
    port = 8083
    title = "Foundry"
    models = DEPLOYMENTS
    aliases: Mapping[str, str] = {}
    key = API_KEY

    def reset(self) -> None:
        super().reset()
        self._options: dict[str, Any] = {"wants": "either", "adaptive": True}

    def configure(self, **options: Any) -> dict[str, Any]:
        if set(options) - set(self._options) or options.get("wants", "either") not in ("either", "bearer", "x-api-key"):
            raise ValueError("there are wants (either, bearer or x-api-key) and adaptive (true or false)")
        self._options |= options
        return dict(self._options)

    def handle(self, call: Call) -> Answer:
        if not call.path.startswith(f"{BASE}/") or "//" in call.path:
            return Answer(404, {"error": {"code": "404", "message": "Resource not found"}})
        return super().handle(replace(call, path=call.path.removeprefix(BASE)))

    def failure(self, call: Call, kind: FaultKind, retry_after: int) -> Answer:
        if kind == "401":
            return Answer(401, {"error": {"code": "401", "message": ERRORS["401"]}})
        return super().failure(call, kind, retry_after)

    def refusal(self, call: Call) -> str | None:
        header = call.headers.get("anthropic-beta")
        unknown = [beta for beta in rules.split(header) if beta not in BETAS]
        if unknown:
            named = ", ".join(f"`{beta}`" for beta in unknown)
            return f"Unexpected value(s) {named} for the `anthropic-beta` header."
        body = call.json if call.body else {}
        body = body if isinstance(body, dict) else {}
        if not self._options["adaptive"] and (body.get("thinking") or {}).get("type") == "adaptive":
            return "adaptive thinking is not supported on this model"
        effort = (body.get("output_config") or {}).get("effort")
        if effort in ("xhigh", "max"):
            return f"output_config.effort: '{effort}' is not supported on this model"  # words: assumed
        return None

    def denied(self, call: Call) -> Answer | None:
        by_key = call.headers.get("x-api-key") == API_KEY
        bearer = call.headers.get("authorization") == f"Bearer {API_KEY}"
        good = {"either": by_key or bearer, "bearer": bearer, "x-api-key": by_key}[self._options["wants"]]
        return None if good else self.failure(call, "401", 0)

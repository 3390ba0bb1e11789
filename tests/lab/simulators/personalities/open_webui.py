"""Open WebUI as an API: https://docs.openwebui.com/reference/api-endpoints, and the /api/v1 twins of its routes."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.lab.simulators.personalities.model_server import Handler, ModelServer
from tests.lab.simulators.protocol import Answer, Call, FaultKind, Refused

MODEL = "gemma4"


class OpenWebUI(ModelServer):
    name = "webui"
    port = 3000
    title = "Open WebUI"
    model = MODEL
    token = "sk-00000000000000000000000000000lab"  # noqa: S105 (made up; it never works without)
    options: ClassVar = {"require_authentication": True, "context_length": 65536}

    def routes(self) -> dict[tuple[str, str], Handler]:
        handlers: dict[tuple[str, str], Handler] = {}
        for prefix in ("/api", "/api/v1"):
            handlers["GET", f"{prefix}/models"] = lambda _: Answer(body={"data": [{"id": MODEL, "object": "model"}]})
            handlers["POST", f"{prefix}/chat/completions"] = self.chat
        return handlers

    def error(self, call: Call, kind: FaultKind, retry_after: int) -> Answer:  # noqa: ARG002
        # FastAPI's shape; the words of all but 401: assumed
        said = {"401": "Not authenticated", "503": "Server Connection Error"}.get(kind, "Something went wrong")
        return Answer(int(kind), {"detail": said})

    def overflow(self, call: Call, asked: int, context: int) -> Answer:
        # what the server behind it said; assumed to be one like llama.cpp
        message = f"request ({asked} tokens) exceeds the available context size ({context} tokens), try increasing it"
        return self.bad(call, message)

    def bad(self, call: Call, message: str) -> Answer:  # noqa: ARG002
        return Answer(400, {"detail": message})

    def check(self, call: Call, body: dict[str, Any]) -> None:  # noqa: ARG002
        if body.get("model") != MODEL:
            raise Refused(Answer(404, {"detail": "Model not found"}))

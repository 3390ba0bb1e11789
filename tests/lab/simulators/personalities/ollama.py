"""Ollama 0.14: its own API, the OpenAI one and the Anthropic one.

Shapes: https://docs.ollama.com/api. A model is loaded when it is asked for, with the `num_ctx` of the request or else
what the server was started with; /api/ps lists it while it is loaded (docs, "Context length").
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from tests.lab.simulators.model import Reply, pieces
from tests.lab.simulators.personalities.model_server import Handler, ModelServer
from tests.lab.simulators.protocol import Answer, Call, FaultKind, Refused
from tests.lab.simulators.wire import openai_chat

MODEL = "gemma4:26b-a4b"
CAPABILITIES = ["completion", "tools", "vision"]
LACKS = {"text only": "vision", "no tools": "tools"}  # by habit

# assumed, but for 503 (docs, FAQ: a full queue is answered with 503) and 401 (signing in: assumed)
FAILURES = {
    "401": "unauthorized",
    "429": "too many requests",
    "500": "llama runner process has terminated: exit status 2",
    "503": "server busy, please try again. maximum pending requests exceeded",
    "529": "overloaded",
}


class Ollama(ModelServer):
    name = "ollama"
    port = 11434
    title = "Ollama"
    model = MODEL
    token = "ollama-lab-token"  # noqa: S105 (made up)
    # context_length: OLLAMA_CONTEXT_LENGTH; loaded: the context in memory now, None: not loaded
    options: ClassVar = {"require_authentication": False, "context_length": 32768, "loaded": 32768}

    @property
    def context(self) -> int:
        return int(self._options["loaded"] or self._options["context_length"])

    def routes(self) -> dict[tuple[str, str], Handler]:
        return {
            ("GET", "/"): lambda _: Answer(body="Ollama is running"),
            ("GET", "/api/version"): lambda _: Answer(body={"version": "0.14.0"}),
            ("GET", "/api/tags"): lambda _: Answer(body={"models": [{"name": MODEL, "model": MODEL}]}),
            ("GET", "/api/ps"): self._ps,
            ("POST", "/api/show"): self._show,
            ("POST", "/api/chat"): self._native,
            ("GET", "/v1/models"): lambda _: Answer(
                body={"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "library"}]}
            ),
            ("POST", "/v1/chat/completions"): self._openai,
            ("POST", "/v1/messages"): self._anthropic,
        }

    def error(self, call: Call, kind: FaultKind, retry_after: int) -> Answer:  # noqa: ARG002
        return Answer(int(kind), self._said(call, FAILURES[kind]))

    def overflow(self, call: Call, asked: int, context: int) -> Answer:
        # ollama/ollama#16800: the runner's own answer, as a text in a text
        runner = {
            "error": {
                "code": 400,
                "message": f"request ({asked} tokens) exceeds the available context size ({context} tokens), try "
                "increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": asked,
                "n_ctx": context,
            }
        }
        return Answer(400, self._said(call, json.dumps(runner)))

    def bad(self, call: Call, message: str) -> Answer:
        return Answer(400, self._said(call, message))

    def late_system(self, call: Call) -> Answer:
        return Answer(500, self._said(call, "system message must be at the beginning"))  # ollama/ollama/issues/17774

    def unseen_image(self, call: Call) -> Answer:
        return Answer(500, self._said(call, "this model is missing data required for image input"))  # its prompt.go

    def unknown(self, call: Call) -> Answer:  # noqa: ARG002
        return Answer(404, "404 page not found")

    def stream_failure(self, call: Call, kind: FaultKind) -> bytes:
        if call.path == "/api/chat":
            return json.dumps(self.failure(call, kind, 1).body).encode() + b"\n"
        return super().stream_failure(call, kind)

    def _said(self, call: Call, message: str) -> dict[str, Any]:
        if call.path == "/v1/messages":  # docs, "Anthropic compatibility"
            return {"type": "error", "error": {"type": "api_error", "message": message}}
        if call.path.startswith("/v1/"):
            return {"error": {"message": message, "type": "api_error", "param": None, "code": None}}
        return {"error": message}

    def _ps(self, _: Call) -> Answer:
        if self._options["loaded"] is None:
            return Answer(body={"models": []})
        entry = {
            "name": MODEL,
            "model": MODEL,
            "size": 17_000_000_000,
            "size_vram": 17_000_000_000,
            "expires_at": "2318-01-01T00:00:00Z",
            "context_length": self._options["loaded"],
        }
        return Answer(body={"models": [entry]})

    def _show(self, call: Call) -> Answer:
        self._named(call, call.json)
        return Answer(
            body={
                "capabilities": [each for each in CAPABILITIES if each != LACKS.get(str(self._options["habit"]))],
                "details": {"quantization_level": "Q4_K_M"},
                "model_info": {"gemma4.context_length": 262144},
            }
        )

    def _named(self, call: Call, body: dict[str, Any]) -> None:
        name = str(body.get("model") or body.get("name"))
        if (name if ":" in name else f"{name}:latest") != MODEL:
            raise Refused(Answer(404, self._said(call, f"model '{name}' not found")))

    def _load(self, context: Any = None) -> None:
        if context or self._options["loaded"] is None:
            self._options["loaded"] = int(context or self._options["context_length"])

    def _openai(self, call: Call) -> Answer:
        self._named(call, self.body(call))
        self._load()
        return self.chat(call)

    def _anthropic(self, call: Call) -> Answer:
        self._named(call, self.body(call))
        self._load()
        return self.messages(call)

    def _native(self, call: Call) -> Answer:
        body = self.body(call)
        self._named(call, body)
        for message in body["messages"]:
            for given in message.get("tool_calls") or ():
                if not isinstance(given.get("function", {}).get("arguments"), dict):
                    # its decoder wants an object, where OpenAI's format has a text
                    raise Refused(self.bad(call, "json: cannot unmarshal string into Go struct field .arguments"))
        self._load((body.get("options") or {}).get("num_ctx"))
        prompt = openai_chat.prompt(_as_openai(body), MODEL)
        self.fits(call, prompt)
        reply = self.reply(prompt)
        chunks = list(_chunks(reply))
        if body.get("stream", True):
            lines = (json.dumps(chunk).encode() + b"\n" for chunk in chunks)
            return Answer(events=lines, content_type="application/x-ndjson")
        whole = {**chunks[-1], "message": {"role": "assistant", "content": reply.text}}
        if reply.call:
            whole["message"]["tool_calls"] = [_called(reply)]
        return Answer(body=whole)


def _as_openai(body: dict[str, Any]) -> dict[str, Any]:
    """The request in OpenAI's format: calls have ids there, and their arguments are texts."""
    messages = []
    for message in body["messages"]:
        calls = [
            {"id": "call", "function": {**given["function"], "arguments": json.dumps(given["function"]["arguments"])}}
            for given in message.get("tool_calls") or ()
        ]
        messages.append({**message, "tool_calls": calls} if calls else message)
    return {**body, "messages": messages, "max_tokens": (body.get("options") or {}).get("num_predict"), "stop": None}


def _called(reply: Reply) -> dict[str, Any]:
    call = reply.call
    assert call is not None
    return {"function": {"index": 0, "name": call.name, "arguments": call.input}}


def _chunks(reply: Reply) -> Iterator[dict[str, Any]]:
    head = {"model": MODEL, "created_at": "2026-11-21T08:00:00.000000Z"}

    def chunk(**message: Any) -> dict[str, Any]:
        return {**head, "message": {"role": "assistant", "content": "", **message}, "done": False}

    for piece in pieces(reply.thinking) if reply.thinking else ():
        yield chunk(thinking=piece)
    for piece in pieces(reply.text) if reply.text else ():
        yield chunk(content=piece)
    if reply.call:
        yield chunk(tool_calls=[_called(reply)])
    yield {
        **head,
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "length" if reply.stop == "length" else "stop",
        "prompt_eval_count": reply.input_tokens,
        "eval_count": reply.output_tokens,
    }

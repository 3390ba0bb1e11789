"""LM Studio 0.4: OpenAI endpoints, the Anthropic endpoint, introspection and loading of models.

Shapes: https://lmstudio.ai/docs/developer (source: lmstudio-ai/docs). Errors: see lm_studio_errors.py.
Not simulated: stored responses, /api/v1/chat, /api/v0's own completions, downloads.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from tests.lab.simulators.habits import (
    answer_with,
    context_with,
    late_system,
    refuse_extras,
    refuse_schemas,
    refused_words,
    unseen_image,
)
from tests.lab.simulators.model import Prompt, Reply, Text, Turn
from tests.lab.simulators.personalities.lm_studio_errors import (
    FAILURES,
    UNAUTHENTICATED,
    anthropic_error,
    authenticate,
    check_chat,
    json_object,
    native_error,
    openai_error,
    overflow,
    speaks_anthropic,
)
from tests.lab.simulators.personalities.lm_studio_models import Catalog, Entry, default_catalog
from tests.lab.simulators.protocol import Answer, Call, FaultKind, Refused, sse
from tests.lab.simulators.wire import anthropic_messages, openai_chat, openai_responses
from tests.lab.simulators.wire.anthropic_schema import Messages, first_error

NAME = "LM Studio"

SEES = ("text results",)  # habits of a model that sees images


class LMStudio:
    name = "lmstudio"
    port = 1234

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._options: dict[str, Any] = {
            "require_authentication": False,  # "Require Authentication" of the server settings
            "habit": "",  # of the model, see habits.py
            "without": "",  # a model that is not on disk any more
        }
        self.catalog: Catalog = default_catalog()

    def configure(self, **options: Any) -> dict[str, Any]:
        if unknown := set(options) - set(self._options):
            raise ValueError(f"unknown options: {', '.join(sorted(unknown))}; there are: {', '.join(self._options)}")
        self._options |= options
        self.catalog.entries = [entry for entry in self.catalog.entries if entry.key != self._options["without"]]
        return dict(self._options)

    def handle(self, call: Call) -> Answer:
        if self._options["require_authentication"]:
            authenticate(call)
        routes = {
            ("GET", "/v1/models"): lambda _: Answer(body=self.catalog.openai_list()),
            ("POST", "/v1/chat/completions"): self._chat,
            ("POST", "/v1/completions"): self._complete,
            ("POST", "/v1/responses"): self._respond,
            ("POST", "/v1/embeddings"): self._embed,
            ("POST", "/v1/messages"): self._messages,
            ("GET", "/api/v0/models"): lambda _: Answer(body=self.catalog.v0_list()),
            ("GET", "/api/v1/models"): lambda _: Answer(body=self.catalog.v1_list(self._options["habit"] in SEES)),
            ("POST", "/api/v1/models/load"): self._load,
            ("POST", "/api/v1/models/unload"): self._unload,
        }
        handler = routes.get((call.method, call.path))
        if handler:
            return handler(call)
        entry = self.catalog.find(call.path.removeprefix("/api/v0/models/"))
        if call.method == "GET" and call.path.startswith("/api/v0/models/") and entry:
            return Answer(body=self.catalog.v0(entry))
        # lmstudio-ai/lmstudio-bug-tracker#618; count_tokens is among them: #2055
        return Answer(body={"error": f"Unexpected endpoint or method. ({call.method} {call.path})"})

    def failure(self, call: Call, kind: FaultKind, retry_after: int) -> Answer:
        headers = {"retry-after": str(retry_after)} if kind == "429" else {}
        if kind == "401":
            return Answer(401, UNAUTHENTICATED)
        if kind == "overflow":
            asked, context = 1, 32768
            return overflow(call, context + asked, context)
        message = FAILURES[kind]
        if speaks_anthropic(call):
            # the shape as for the overflow; that it is used for these too: assumed
            return Answer(int(kind), anthropic_error("api_error", message), headers)
        return Answer(int(kind), {"error": message}, headers)

    def stream_failure(self, call: Call, kind: FaultKind) -> bytes:
        body = self.failure(call, kind, 1).body
        if speaks_anthropic(call):
            return sse(body, "error")
        error = body["error"]
        message = error if isinstance(error, str) else error["message"]
        # zendev-sh/goai#110 has this shape; the event's name: assumed
        return sse({"error": {"message": message}, "message": message}, "error")

    # ---- inference ----

    def _chat(self, call: Call) -> Answer:
        body = json_object(call)
        check_chat(body)
        refuse_schemas(self._options["habit"], body)
        self._refuse_messages(call, body)
        entry = self._serving(body)
        prompt = openai_chat.prompt(body, entry.key)
        self._fits(call, prompt, entry)
        reply = self._reply(prompt)
        if body.get("stream"):
            wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
            return Answer(events=openai_chat.chunks(reply, entry.key, wants_usage, self._options["habit"]))
        return Answer(body={**openai_chat.completion(reply, entry.key), "stats": {}})

    def _refuse_messages(self, call: Call, body: dict[str, Any]) -> None:
        """Refuse what the model's template, or the model, does not take."""
        if late_system(self._options["habit"], body):
            # lmstudio-ai/lmstudio-bug-tracker/issues/2204, llmster 0.0.20; in a chat the template's own words
            words = "Invalid discriminator value. Expected 'user' | 'assistant'"
            if not speaks_anthropic(call):
                words = "Error rendering prompt with jinja template: System message must be at the beginning."
            raise Refused(_bad(call, words))
        if unseen_image(self._options["habit"], body):  # lmstudio-ai/lmstudio-bug-tracker/issues/908
            raise Refused(_bad(call, "Model does not support images. Please use a model that does."))
        if words := refused_words(self._options["habit"], body):
            raise Refused(_bad(call, words))

    def _complete(self, call: Call) -> Answer:
        body = json_object(call)
        if not isinstance(body.get("prompt"), str):
            raise Refused(Answer(400, {"error": "'prompt' field is required"}))  # assumed, after 'messages'
        entry = self._serving(body)
        limit = body.get("max_tokens")
        turns = (Turn("user", (Text(body["prompt"]),)),)
        prompt = Prompt(entry.key, turns, max_tokens=limit if limit and limit > 0 else None)
        self._fits(call, prompt, entry)
        reply = self._reply(prompt)
        if body.get("stream"):
            return Answer(events=openai_chat.text_chunks(reply, entry.key))
        return Answer(body={**openai_chat.text_completion(reply, entry.key), "stats": {}})

    def _respond(self, call: Call) -> Answer:
        body = json_object(call)
        if not body.get("input"):
            # the shape as below; that input is checked so: assumed
            raise Refused(Answer(400, openai_error("Required", "missing_required_parameter", "input")))
        if isinstance(body.get("text"), dict) and "format" not in body["text"]:
            # lmstudio-bug-tracker#1576
            raise Refused(Answer(400, openai_error("Required", "missing_required_parameter", "text.format")))
        if body.get("previous_response_id"):
            message = "previous_response_id: no such response"  # the simulator stores none; the words: assumed
            raise Refused(Answer(400, openai_error(message, None, "previous_response_id")))
        entry = self._serving(body)
        prompt = openai_responses.prompt(body, entry.key)
        self._fits(call, prompt, entry)
        whole = openai_responses.response(self._reply(prompt), body, entry.key)
        if body.get("stream"):
            return Answer(events=openai_responses.events(whole))
        return Answer(body=whole)

    def _embed(self, call: Call) -> Answer:
        body = json_object(call)
        inputs = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
        if not isinstance(inputs, list) or not inputs or not all(isinstance(text, str) for text in inputs):
            raise Refused(Answer(400, {"error": "'input' field must be a string or an array of strings"}))  # assumed
        entry = self._serving(body, "embedding")
        return Answer(body=openai_chat.embeddings(inputs, entry.key))

    def _messages(self, call: Call) -> Answer:
        try:
            body = call.json
            refuse_extras(self._options["habit"], body)
            refuse_schemas(self._options["habit"], body)
            self._refuse_messages(call, body)
            # lenient where the vendor of the format is strict: unknown fields, betas, pairing; assumed
            known = {name: value for name, value in body.items() if name in Messages.model_fields}
            request = Messages.model_validate(known)
        except ValidationError as error:
            raise Refused(Answer(400, anthropic_error("invalid_request_error", first_error(error)))) from None
        except (ValueError, AttributeError) as error:
            raise Refused(Answer(400, anthropic_error("invalid_request_error", f"invalid JSON: {error}"))) from None
        entry = self._serving(body)
        prompt = anthropic_messages.prompt(request.model_copy(update={"model": entry.key, "thinking": None}))
        self._fits(call, prompt, entry)
        message = anthropic_messages.message(self._reply(prompt), entry.key)
        if request.stream:
            return Answer(events=anthropic_messages.events(message, self._options["habit"]))
        return Answer(body=message)

    def _reply(self, prompt: Prompt) -> Reply:
        return answer_with(self._options["habit"], prompt, NAME)

    def _serving(self, body: dict[str, Any], kind: str = "llm") -> Entry:
        """The model that answers: the named one, loaded when it is not; else the only one that is loaded."""
        name = body.get("model")
        entry = self.catalog.find(name) if isinstance(name, str) else None
        if entry and entry.kind == kind:
            if entry.context_length is None:  # "just-in-time model loading"
                self.catalog.load(entry, None)
            return entry
        loaded = [e for e in self.catalog.entries if e.context_length is not None and e.kind == kind]
        if len(loaded) == 1:  # lmstudio-bug-tracker#619, still so in 0.4.5: icereed/paperless-gpt#908
            return loaded[0]
        if not loaded:  # lmstudio-bug-tracker#1730
            message = "No models loaded. Please load a model in the developer page or use the 'lms load' command."
            raise Refused(Answer(400, openai_error(message, None)))
        keys = ", ".join(e.key for e in self.catalog.entries if e.kind == kind)
        # assafelovic/gpt-researcher#1556
        message = f'Invalid model identifier "{name}". Please specify a valid downloaded model (e.g., {keys}).'
        raise Refused(Answer(400, openai_error(message, "model_not_found")))

    def _fits(self, call: Call, prompt: Prompt, entry: Entry) -> None:
        context = context_with(self._options["habit"], entry.context_length or 0)
        if (asked := prompt.tokens()) >= context:
            raise Refused(overflow(call, asked, context))

    # ---- models in memory ----

    def _load(self, call: Call) -> Answer:
        body = json_object(call)
        entry = self.catalog.find(body.get("model"))
        if entry is None:
            # the shape: docs, "Streaming events", error; the words: assumed
            raise Refused(Answer(404, native_error("model_not_found", f'Model "{body.get("model")}" not found')))
        context = body.get("context_length")
        if context is not None and (not isinstance(context, int) or not 0 < context <= entry.max_context_length):
            message = f"context_length must be between 1 and {entry.max_context_length}"  # assumed
            raise Refused(Answer(400, native_error("invalid_request", message)))
        self.catalog.load(entry, context)
        given = {"type": entry.kind, "instance_id": entry.key, "load_time_seconds": 0.1, "status": "loaded"}
        if body.get("echo_load_config"):
            given["load_config"] = self.catalog.config(entry)
        return Answer(body=given)

    def _unload(self, call: Call) -> Answer:
        name = json_object(call).get("instance_id")
        entry = self.catalog.find(name)
        if entry is None or entry.context_length is None:
            raise Refused(Answer(404, native_error("model_not_found", f'Instance "{name}" is not loaded')))  # assumed
        self.catalog.unload(entry)
        return Answer(body={"instance_id": name})


def _bad(call: Call, message: str) -> Answer:
    """Return a refusal in the shape of the endpoint."""
    return Answer(
        400, anthropic_error("invalid_request_error", message) if speaks_anthropic(call) else {"error": message}
    )

"""What the smaller model servers have in common: one model, chat completions, and an Anthropic endpoint where they
have one. Each server's own endpoints, checks and words are in its module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

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
from tests.lab.simulators.model import Prompt, Reply
from tests.lab.simulators.protocol import Answer, Call, FaultKind, Refused, sse
from tests.lab.simulators.wire import anthropic_messages, openai_chat
from tests.lab.simulators.wire.anthropic_schema import CountTokens, Messages, first_error

Handler = Callable[[Call], Answer]


class ModelServer:
    """One model on one port; the hooks below are what differs.

    title: the name the model gives its server. model: what it is called there. token: what it accepts, when it asks.
    """

    name = ""
    port = 0
    title = ""
    model = ""
    token = ""
    options: ClassVar[Mapping[str, Any]] = {"require_authentication": False, "context_length": 32768}

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._options = {"habit": "", **self.options}  # habit: of the model, see habits.py

    def configure(self, **options: Any) -> dict[str, Any]:
        if unknown := set(options) - set(self._options):
            raise ValueError(f"unknown options: {', '.join(sorted(unknown))}; there are: {', '.join(self._options)}")
        self._options |= options
        return dict(self._options)

    @property
    def context(self) -> int:
        return int(self._options["context_length"])

    def handle(self, call: Call) -> Answer:
        if self._options["require_authentication"] and call.credential != self.token and not self.open(call):
            raise Refused(self.error(call, "401", 0))
        handler = self.routes().get((call.method, call.path))
        if handler is None:
            raise Refused(self.unknown(call))
        return handler(call)

    # ---- what differs ----

    def routes(self) -> dict[tuple[str, str], Handler]:
        raise NotImplementedError

    def open(self, call: Call) -> bool:  # noqa: ARG002 (a hook)
        """Whether this is answered without a credential."""
        return False

    def unknown(self, call: Call) -> Answer:
        return Answer(404, {"detail": f"Not Found: {call.path}"})

    def error(self, call: Call, kind: FaultKind, retry_after: int) -> Answer:
        """The server's own error of a status kind."""
        raise NotImplementedError

    def overflow(self, call: Call, asked: int, context: int) -> Answer:
        """The server's own refusal of a prompt that does not fit."""
        raise NotImplementedError

    def late_system(self, call: Call) -> Answer:
        """The server's own refusal of a system message that is not the first."""
        return self.bad(call, "System message must be at the beginning.")

    def unseen_image(self, call: Call) -> Answer:
        """The server's own refusal of an image that its model does not see."""
        return self.bad(call, "image input is not supported")

    def check(self, call: Call, body: dict[str, Any]) -> None:
        """Refuse what this server does not take."""

    # ---- what the core asks ----

    def failure(self, call: Call, kind: FaultKind, retry_after: int) -> Answer:
        if kind == "overflow":
            return self.overflow(call, self.context + 1, self.context)
        return self.error(call, kind, retry_after)

    def stream_failure(self, call: Call, kind: FaultKind) -> bytes:
        return sse(self.failure(call, kind, 1).body, "error" if call.path.endswith("/messages") else None)

    # ---- endpoints that several have ----

    def reply(self, prompt: Prompt) -> Reply:
        return answer_with(str(self._options["habit"]), prompt, self.title)

    def chat(self, call: Call) -> Answer:
        body = self.body(call)
        self.check(call, body)
        prompt = openai_chat.prompt(body, self.model)
        self.fits(call, prompt)
        reply = self.reply(prompt)
        if body.get("stream"):
            usage = bool((body.get("stream_options") or {}).get("include_usage"))
            return Answer(events=openai_chat.chunks(reply, self.model, usage, str(self._options["habit"])))
        return Answer(body=openai_chat.completion(reply, self.model))

    def messages(self, call: Call) -> Answer:
        request = self.anthropic(call, Messages)
        prompt = anthropic_messages.prompt(request.model_copy(update={"model": self.model, "thinking": None}))
        self.fits(call, prompt)
        message = anthropic_messages.message(self.reply(prompt), self.model)
        if request.stream:
            return Answer(events=anthropic_messages.events(message, str(self._options["habit"])))
        return Answer(body=message)

    def count_tokens(self, call: Call) -> Answer:
        request = self.anthropic(call, CountTokens)
        return Answer(body={"input_tokens": anthropic_messages.prompt(request).tokens()})

    def anthropic(self, call: Call, shape: type[Any]) -> Any:
        """The body in Anthropic's format, leniently: fields that a small server does not know are passed over."""
        body = self.body(call)
        refuse_extras(str(self._options["habit"]), body)
        try:
            return shape.model_validate({name: value for name, value in body.items() if name in shape.model_fields})
        except ValidationError as error:
            raise Refused(self.bad(call, first_error(error))) from None

    def bad(self, call: Call, message: str) -> Answer:  # noqa: ARG002 (a hook)
        """The server's own answer to a request that is no good."""
        return Answer(400, {"error": {"message": message, "type": "invalid_request_error"}})

    def body(self, call: Call) -> dict[str, Any]:
        try:
            body = call.json
        except ValueError as error:
            raise Refused(self.bad(call, str(error))) from None
        if not isinstance(body, dict) or not body.get("messages"):
            raise Refused(self.bad(call, "messages: Field required"))
        habit = str(self._options["habit"])
        refuse_schemas(habit, body)
        if late_system(habit, body):
            raise Refused(self.late_system(call))
        if unseen_image(habit, body):
            raise Refused(self.unseen_image(call))
        if words := refused_words(habit, body):
            raise Refused(self.bad(call, words))
        return body

    def fits(self, call: Call, prompt: Prompt) -> None:
        context = context_with(str(self._options["habit"]), self.context)
        if (asked := prompt.tokens()) > context:
            raise Refused(self.overflow(call, asked, context))

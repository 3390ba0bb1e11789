"""LiteLLM plug-in: one JSON line a request in requests.jsonl: who asked, who answered, tokens, cost, time.

It stands around LiteLLM's web application and reads what goes over the wire: so a line tells what the client got,
stream cut or not. Never content, never a vendor's words: an error is told as one of our own classes.
"""

# ruff: noqa: ARG002 (LiteLLM calls the hooks by these names)

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from litellm.integrations.custom_logger import CustomLogger

from . import audit_file
from .asgi import Application, Message, Receive, Scope, Send, headers
from .error_classes import error_class
from .request_record import Record, Request, current, serving

ASKS = ("/messages", "/completions", "/responses", "/embeddings")  # how the paths end that a model answers


class Audit(CustomLogger):
    """Stands around the application, and hears from the router why it went to another model.

    broke_off: called with a deployment's id and why, when its answer ended in an error after its first words.
    wrote: called with each record when it has been written.
    """

    def __init__(self) -> None:
        super().__init__()
        self.broke_off: Callable[[str | None, str], None] | None = None
        self.wrote: Callable[[Record], None] | None = None

    async def log_success_fallback_event(
        self, original_model_group: str, kwargs: dict[str, Any], original_exception: Exception
    ) -> None:
        self._heard(original_exception, answered=True)

    async def log_failure_fallback_event(
        self, original_model_group: str, kwargs: dict[str, Any], original_exception: Exception
    ) -> None:
        self._heard(original_exception, answered=False)

    def _heard(self, error: Exception, *, answered: bool) -> None:
        request = current()
        if request:
            if answered:  # LiteLLM's own word for what failed first may be a fallback that was left out
                request.fallback = request.fallback or request.ruled or request.asked
            request.estimated = None  # what was guessed of the answer that failed says nothing of the next
            cause = getattr(error, "original_exception", None) or error
            told = request.tried[0].why if request.tried else None
            request.error_class = request.error_class or told or error_class(cause)

    def around(self, application: Application) -> Application:
        """Return the web application with the audit around it."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].endswith(ASKS):
                await application(scope, receive, send)
                return
            request = Request(scope)
            stream = False

            async def hear() -> Message:
                message = await receive()
                if message["type"] == "http.request":
                    request.asks(message.get("body", b""), message.get("more_body", False))
                return message

            async def say(message: Message) -> None:
                nonlocal stream
                if message["type"] == "http.response.start":
                    request.status = message["status"]
                    request.sent = headers(message)
                    stream = request.sent.get("content-type", "").startswith("text/event-stream")
                elif message["type"] == "http.response.body":
                    body = message.get("body", b"")
                    if body and request.first_byte is None:
                        request.first_byte = time.monotonic() - request.started
                    request.answer.take(body, stream)
                await send(message)

            try:
                with serving(request):
                    await application(scope, hear, say)
            finally:
                self._ended(request, stream)

        return serve

    def _ended(self, request: Request, stream: bool) -> None:
        if request.answer.error and request.tried:
            request.answer.error = request.tried[-1].why or request.answer.error
        if request.answer.error and self.broke_off:  # not "cut": that may be the client
            self.broke_off(request.sent.get("x-litellm-model-id"), request.answer.error)
        request.answer.end(stream)
        record = request.line()
        audit_file.write(record)
        if self.wrote:
            self.wrote(record)


plugin = Audit()

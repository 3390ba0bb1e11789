"""What is known of each request that is served, and the audit's record that it becomes: never content."""

from __future__ import annotations

import contextlib
import contextvars
import datetime
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from ..shared.model_names import name_of
from .asgi import Scope, headers
from .deployments import ModelInfo, is_local, split
from .error_classes import of_status
from .json_document import Document, text
from .prices import NOTHING, price
from .token_usage import AnswerUsage

if TYPE_CHECKING:
    from .budget import Refusal

COMPARED_WITH = os.environ.get("SIGNALBOX_AUDIT_COMPARED_WITH", "")  # what local work is priced at, too
CHARACTERS_A_TOKEN = 4  # for an estimate where a server does not count
WORD = re.compile(r"[\w.:@/-]{1,128}")  # what a header may put into a line
REQUEST = 1 << 26  # bytes of a request in which its model is looked for


class Record(TypedDict):
    """A line of requests.jsonl."""

    time: str
    session: str | None
    run: str | None
    lane: str | None
    client: str | None
    asked: str | None
    model: str | None
    backend: str | None
    rule: str | None
    fallback: str | None
    error_class: str | None
    status: int | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    estimated: bool
    cost_usd: float | None
    plan: bool
    compared_usd: float | None
    mended: list[str]
    seconds: float
    first_byte_seconds: float | None


@dataclass
class Tried:
    """A deployment that failover.py let be asked, and why it failed; None: it has not."""

    info: ModelInfo
    why: str | None = None


class Request:
    """What is known of one request so far."""

    def __init__(self, scope: Scope) -> None:
        self.started = time.monotonic()
        self.time = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        self.headers = headers(scope)
        # A long prompt is kept and parsed once: answer_check.py tells what it asks for.
        self._body = Document(0 if scope.get("path", "").endswith("/messages") else REQUEST)
        self.asked: str | None = None
        self.client: str | None = None  # whose key it has, of gateway.clients
        self.may: list[str] | None = None  # which models that one may ask; None: all
        self.sent: dict[str, str] = {}  # headers of the answer
        self.status: int | None = None
        self.first_byte: float | None = None
        self.rule: str | None = None  # that says who answers, in words
        self.ruled: str | None = None  # the model that it names
        self.fallback: str | None = None  # the model that failed first
        self.error_class: str | None = None
        self.tried: list[Tried] = []
        self.estimated: bool | None = None  # True: LiteLLM itself counted what the server did not
        self.stopped: tuple[str, Literal["ask"] | Refusal] | None = None  # the model that was not asked, and why
        self.mended: set[str] = set()  # what was changed that a person may want to know: "schemas", "images"
        self.answer = AnswerUsage()

    @property
    def lane(self) -> str | None:
        return self.headers.get("x-signalbox-lane")

    def asks(self, chunk: bytes, more: bool) -> None:
        """Take a piece of the request's body."""
        self._body.take(chunk)
        if not more and self.asked is None:
            self.asks_for(self._body.value())
            self._body.forget()

    def asks_for(self, document: Mapping[str, Any]) -> None:
        """Take note of the model that a request names."""
        self.asked = name_of(text(document, "model"))[:128] or None

    def line(self) -> Record:
        """Return the record of the request, which has ended."""
        ident = self.sent.get("x-litellm-model-id", "")
        deployment, model = split(ident)
        answered = (self.status or 500) < 400
        counted = self.answer.counted() if answered else NOTHING
        tokens = counted or {
            **NOTHING,
            "input": self._body.length // CHARACTERS_A_TOKEN,
            "output": self.answer.characters // CHARACTERS_A_TOKEN,
        }
        local = is_local(ident)
        name = self.sent.get("x-litellm-model-name", "")
        own = next((each.info.get("price") for each in self.tried if each.info.get("id") == ident), None)
        return {
            "time": self.time,
            "session": word(self.headers.get("x-claude-code-session-id")),
            "run": word(self.headers.get("x-signalbox-run")),
            "lane": word(self.lane),
            "client": self.client,
            "asked": self.asked,
            "model": model or None,
            "backend": deployment if model else None,
            "rule": self.rule,
            "fallback": self.fallback,
            "error_class": self.error_class or self._error_class(),
            "status": self.status,
            "input_tokens": tokens["input"] + tokens["written"],
            "output_tokens": tokens["output"],
            "cached_tokens": tokens["cached"],
            "estimated": answered and (counted is None or bool(self.estimated)),
            "cost_usd": 0.0 if local or not answered else price(name, model, tokens, own),
            "plan": answered and own == "plan",
            "compared_usd": price(COMPARED_WITH, "", tokens) if local and answered else None,
            "mended": sorted(self.mended),
            "seconds": round(time.monotonic() - self.started, 3),
            "first_byte_seconds": self.first_byte and round(self.first_byte, 3),
        }

    def _error_class(self) -> str | None:
        if self.status is None:
            return "client_gone"
        if self.status < 400:
            return self.answer.error
        return next((each.why for each in self.tried if each.why), None) or of_status(self.status)


_current: contextvars.ContextVar[Request | None] = contextvars.ContextVar("signalbox_audit", default=None)
current = _current.get  # the request that this task serves; None outside of one
under_way: set[Request] = set()  # every request that is being served


@contextlib.contextmanager
def serving(request: Request) -> Iterator[None]:
    """Have it be the current request meanwhile, and among those under way."""
    token = _current.set(request)
    under_way.add(request)
    try:
        yield
    finally:
        _current.reset(token)
        under_way.discard(request)


def noticed(why: str) -> None:
    """Take note of why the deployment that is asked now fails, before LiteLLM puts it in words of its own."""
    request = current()
    if request and request.tried:
        request.tried[-1].why = request.tried[-1].why or why


def word(value: str | None) -> str | None:
    """Return a header's value if it is one harmless word."""
    return value if value and WORD.fullmatch(value) else None

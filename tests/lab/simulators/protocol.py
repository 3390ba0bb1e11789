"""What the server core and the personalities say to each other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

FaultKind = Literal[
    "401", "402", "429", "500", "503", "529", "quota", "overflow", "refuse", "hang", "drop", "cut", "stall", "garble",
    "uncounted", "flood",
]  # fmt: skip


@dataclass(frozen=True)
class Call:
    """One request. path: percent-decoded, without the query; headers: names in lower case; client: its address."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    client: str | None

    @cached_property
    def json(self) -> Any:
        """The body as JSON. Raises ValueError when it is none."""
        return json.loads(self.body)

    @property
    def model(self) -> str | None:
        """The model that the request names, if it names one."""
        try:
            name = self.json.get("model")
        except (ValueError, AttributeError):
            return None
        return name if isinstance(name, str) else None

    @property
    def credential(self) -> str | None:
        """The key, wherever the client put it: x-api-key before Authorization: Bearer."""
        if key := self.headers.get("x-api-key"):
            return key
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" and token.strip() else None


@dataclass(frozen=True)
class Answer:
    """A complete answer (body), or a stream (events): server-sent events unless content_type says otherwise."""

    status: int = 200
    body: Any = None  # sent as JSON; a str is sent as plain text
    headers: Mapping[str, str] = field(default_factory=dict)
    events: Iterator[bytes] | None = None
    content_type: str = "text/event-stream"  # of a stream


class Refused(Exception):  # noqa: N818 (a refusal is the server's answer, not a defect)
    """Raised anywhere below a handler: this request gets this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(str(answer.body))
        self.answer = answer


class Personality(Protocol):
    """One vendor's server. Everything vendor-specific is behind these members."""

    name: str  # as in settings: "anthropic", "lmstudio"
    port: int  # where it listens unless told otherwise

    def handle(self, call: Call) -> Answer:
        """The vendor's answer, or Refused."""

    def failure(self, call: Call, kind: FaultKind, retry_after: int) -> Answer:
        """The vendor's answer when it fails in this way. retry_after: seconds, for 429."""

    def stream_failure(self, call: Call, kind: FaultKind) -> bytes:
        """The event with which the vendor ends a stream that fails in this way."""

    def configure(self, **options: Any) -> dict[str, Any]:
        """Change options (none: only read them). Returns all options. Raises ValueError on an unknown one."""

    def reset(self) -> None:
        """Back to how it starts."""


def sse(data: Any, event: str | None = None) -> bytes:
    """One server-sent event. data: JSON, or a str that is sent as it is."""
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    return (f"event: {event}\n" if event else "").encode() + f"data: {text}\n\n".encode()

"""The failures that a test asked for."""

from __future__ import annotations

import fnmatch
import itertools
from typing import get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tests.lab.simulators.floods import FLOODS
from tests.lab.simulators.protocol import Call, FaultKind

STATUS_KINDS = ("401", "402", "429", "500", "503", "529", "quota", "overflow")
BILLED = ("anthropic", "foundry", "openai", "gemini", "openrouter", "deepseek", "bedrock", "vertex")  # can be used up
_numbers = itertools.count(1)


class Fault(BaseModel):
    """One failure, until it is used up or cleared.

    kind: 401, 402, 429, 500, 503, 529, overflow, quota (the account's limit of spending): the vendor's own error.
        refuse: nothing listens any more.
        hang: the request is read and never answered. drop: the connection ends without an answer.
        cut: the connection ends in the middle of an answer. stall: an answer stops in its middle.
        garble: the model says `text` and no more. uncounted: the answer has no usage.
        flood: an answer without end, too large, too deep or too slow; `text` names which, see floods.py.
    model, path: shell patterns; None: every one.
    times: for how many requests; None: until cleared.
    after_chunks: events of a stream that go out first; None: 3 for cut and stall, 0 for the others. A status kind
        after the first event is reported inside the stream, as the vendor does.
    retry_after: seconds told to the client, for 429.
    text: what garble makes the model say; "" for an answer without content. Which flood.
    seconds: how long hang and stall last before the answer comes after all; None: for ever.
    """

    model_config = ConfigDict(extra="forbid")

    server: str
    kind: FaultKind
    model: str | None = None
    path: str | None = None
    times: int | None = Field(None, ge=1)
    after_chunks: int | None = Field(None, ge=0)
    retry_after: int = Field(1, ge=0)
    seconds: float | None = Field(None, gt=0)
    text: str = ""
    id: int = Field(default_factory=lambda: next(_numbers))

    @model_validator(mode="after")
    def _fits(self) -> Fault:
        if self.kind == "refuse" and (self.times or self.model or self.path):
            raise ValueError("refuse closes the listener for everyone: times, model and path do not apply; clear it")
        if self.kind in ("402", "quota") and self.server not in BILLED:
            raise ValueError(f"{self.kind} is of an account that is billed: of {' or '.join(BILLED)}")
        if self.kind == "flood" and self.text not in FLOODS:
            raise ValueError(f"no flood {self.text!r}; there are: {', '.join(FLOODS)}")
        if self.seconds and self.kind not in ("hang", "stall"):
            raise ValueError("seconds is for hang and stall")
        return self

    @property
    def chunks(self) -> int:
        return self.after_chunks if self.after_chunks is not None else 3 if self.kind in ("cut", "stall") else 0

    def fits(self, call: Call) -> bool:
        if self.path and not fnmatch.fnmatchcase(call.path, self.path):
            return False
        return self.model is None or (call.model is not None and fnmatch.fnmatchcase(call.model, self.model))


class Faults:
    """The open faults of all servers, oldest first."""

    kinds: tuple[str, ...] = get_args(FaultKind)

    def __init__(self) -> None:
        self.open: list[Fault] = []

    def take(self, server: str, call: Call) -> Fault | None:
        """The fault that this request gets, counted."""
        for fault in self.open:
            if fault.server == server and fault.kind != "refuse" and fault.fits(call):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        self.open.remove(fault)
                return fault
        return None

    def clear(self, server: str | None = None) -> None:
        self.open = [fault for fault in self.open if server and fault.server != server]

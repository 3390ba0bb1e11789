"""Check of how fast the local models read prompts, by what the gateway has written down: nothing is asked."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from ..shared import audit
from .check import Finding, check
from .host_context import AGENT, Here

LONG = 4000  # tokens that were not in a cache: of a shorter prompt the time says nothing
SEVERAL = 3  # such prompts
ROOM = 1.5  # for a server that has something else to do, too


@check(AGENT, needs=("lane-records",))
def prefill(here: Here) -> Iterator[Finding]:
    """Each local model reads a full context within gateway.stream_timeout_seconds"""
    path, silence = here.expected["lanes"].get("audit"), here.expected["limits"].get("silence_seconds")
    if not path or not silence:
        return
    rates = defaultdict(list)
    for entry in audit.newest(Path(path)):
        seconds, tokens = entry.get("first_byte_seconds"), entry.get("input_tokens")
        own = entry.get("status") == 200 and not entry.get("fallback") and not entry.get("estimated")
        if own and isinstance(seconds, int | float) and isinstance(tokens, int) and seconds > 0 and tokens >= LONG:
            rates[entry.get("backend"), entry.get("model")].append(tokens / seconds)
    for name, server in here.expected["backends"].items():
        for model, record in server["models"].items():
            seen, context = rates[name, model], (record["reading"] or {}).get("context_length")
            if context and len(seen) >= SEVERAL and (needed := wanted(context, median(seen), silence)):
                rate = median(seen)
                said = f"{model} at {name} reads {rate:.0f} tokens of a prompt a second, so {context} take "
                said += f"{context / rate:.0f} s: stream_timeout_seconds is {silence}, write {needed}"
                yield Finding("slow-prefill", said, subjects=(name, model))


def wanted(context: int, rate: float, silence: int) -> int | None:
    """Return the gateway.stream_timeout_seconds with which so many tokens are read at so many a second.

    None: what it is now, `silence`, is enough.
    """
    seconds = context / rate * ROOM
    return math.ceil(seconds / 10) * 10 if seconds > silence else None

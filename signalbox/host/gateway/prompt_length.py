"""Whether a prompt fits a server that would cut a longer one, and answer as if nothing were.

Ollama leaves out the oldest messages, and then keeps half of its context (ollama/ollama/issues/17427, 17889). It does
not count beforehand, so it is counted here, with a tokenizer that is not the model's: with a margin.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import litellm

from . import images

MARGIN = 0.9  # of the context; Claude Code summarises a conversation at some four fifths
FEWEST, MOST = 2, 8  # bytes a token: what is shorter fits, what is longer does not, and nobody counts


async def too_long(kwargs: dict[str, Any], context: int) -> int | None:
    """Return of how many tokens a prompt is that does not fit so much context; None: it fits."""
    messages = images.without(kwargs.get("messages") or [], images.WORDS.keys(), "")  # what they cost it does not tell
    told = [kwargs.get("system"), messages, kwargs.get("tools")]
    text = json.dumps(told, ensure_ascii=False, default=str)
    size = len(text.encode(errors="replace"))
    if size < context * FEWEST * MARGIN:
        return None
    tokens = size // MOST if size > context * MOST else await asyncio.to_thread(_count, text)
    return tokens if tokens > context * MARGIN else None


def _count(text: str) -> int:
    return litellm.token_counter(model="", text=text)

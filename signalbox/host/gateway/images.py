"""Images of a conversation, for models that see none: words stand in their place.

Without that a text-only model refuses every later turn, as the image stays in the conversation
(lmstudio-ai/lmstudio-bug-tracker/issues/908, vllm-project/vllm/issues/19144). Where a server tells what its model sees
it is asked, once an image is there; of one that does not tell, what it refuses counts from then on. No local server
reads PDF files.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable
from typing import Any

from . import probe
from .deployments import ModelInfo

WORDS = {
    "image": "[an image was left out: {} does not read images]",
    "document": "[a document was left out: {} does not read PDF files]",
}
REFUSED = re.compile(
    r"image input is not supported|does not support images?\b|not a multimodal model|data required for image input"
    r"|image_url.{0,40}(?:not supported|unsupported)|only text content",
    re.IGNORECASE,
)
LASTS = 300.0  # seconds for which a server's word counts; another model may be loaded under the same name
LEARNT = 3600.0  # seconds for which its refusal does

_known: dict[
    str, tuple[bool, float]
] = {}  # a deployment's id: whether it sees images, and until when that counts (monotonic clock)


def kind(block: object) -> str | None:
    """Return what a block is that a model may not read: "image" or "document"; None: it is text, or the like."""
    if not isinstance(block, dict):
        return None
    source = block.get("source")
    as_text = isinstance(source, dict) and source.get("type") in ("text", "content")
    if block.get("type") == "image":
        return "image"
    return "document" if block.get("type") == "document" and not as_text else None


def among(messages: Iterable[object] | None) -> set[str]:
    """Return which kinds there are in messages of Anthropic's format, results of tools included."""
    found: set[str | None] = set()
    for message in messages or ():
        content = message.get("content") if isinstance(message, dict) else None
        for block in content if isinstance(content, list) else ():
            inner = block.get("content") if isinstance(block, dict) and block.get("type") == "tool_result" else None
            found |= {kind(each) for each in (block, *(inner if isinstance(inner, list) else ()))}
    return {each for each in found if each}


def without(messages: Iterable[object], kinds: Collection[str], model: str) -> list[Any]:
    """Return the messages with words in place of what is of these kinds."""

    def plain(block: object) -> object:
        its = kind(block)
        if its and its in kinds:
            return {"type": "text", "text": WORDS[its].format(model)}
        if isinstance(block, dict) and block.get("type") == "tool_result" and isinstance(block.get("content"), list):
            return {**block, "content": [plain(each) for each in block["content"]]}
        return block

    return [
        {**message, "content": [plain(block) for block in message["content"]]}
        if isinstance(message, dict) and isinstance(message.get("content"), list)
        else message
        for message in messages
    ]


async def unread(messages: Iterable[object] | None, info: ModelInfo) -> set[str]:
    """Return which kinds in the messages a local server's model does not read."""
    found = among(messages)
    if "image" in found and await _sees(info):
        found.discard("image")
    return found


async def _sees(info: ModelInfo) -> bool:
    ident = info["id"]
    sees, until = _known.get(ident, (True, 0.0))
    if time.monotonic() > until:
        told = await probe.sees(info["sight"]) if info.get("sight") else None
        sees = told is not False
        _known[ident] = (sees, time.monotonic() + LASTS)
    return sees


def refused(ident: str, words: str) -> bool:
    """Take note of a server that has refused an image; return whether these are its words for that."""
    if not REFUSED.search(words):
        return False
    _known[ident] = (False, time.monotonic() + LEARNT)
    return True

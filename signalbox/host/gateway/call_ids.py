"""Ids of tool calls that are a server's own, such as `functions.Bash:0`: it gets them back as it said them.

Anthropic's API takes letters, digits, _ and - in them alone, so LiteLLM writes others anew, and a model that was taught
to count its calls so, as Kimi's, goes astray (github.com/BerriAI/litellm/issues/32214). Here a client gets such an id
written in those letters, and whoever does not know better keeps it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from typing import Any

from .request_record import current

Messages = Callable[[Any], Any]

PLAIN = re.compile(r"[A-Za-z0-9_-]+")
MARK = "own-"  # before an id that is written anew
IDS = {"tool_use": "id", "tool_result": "tool_use_id"}  # where a block has it
OF_LITELLM = "__thought__"  # what it hangs behind ids of Gemini's, and takes away again


def written(usual: Callable[[str], str]) -> Callable[[str], str]:
    """Return LiteLLM's `usual` way to write an id, but for those of a server's own, which can be read again."""

    def write(ident: str) -> str:
        if not ident or PLAIN.fullmatch(ident) or OF_LITELLM in ident:
            return usual(ident)
        return MARK + base64.urlsafe_b64encode(ident.encode(errors="replace")).decode().rstrip("=")

    return write


def read(ident: object) -> object:
    """Return an id as its server said it."""
    if not isinstance(ident, str) or not ident.startswith(MARK):
        return ident
    said = ident.removeprefix(MARK)
    try:
        return base64.b64decode(said + "=" * (-len(said) % 4), altchars=b"-_", validate=True).decode() or ident
    except (binascii.Error, ValueError):
        return ident


def as_said(usual: Messages) -> Messages:
    """Return what LiteLLM does with the ids in messages, but for a server on one's own network: it gets its own."""

    def of_messages(messages: Iterable[Any]) -> Any:
        request = current()
        local = request and request.tried and request.tried[-1].info.get("probe_url")
        return [_of_message(message) for message in messages] if local else usual(messages)

    return of_messages


def _of_message(message: Any) -> Any:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    return {**message, "content": [_of_block(block) for block in content]}


def _of_block(block: Any) -> Any:
    name = IDS.get(str(block.get("type"))) if isinstance(block, dict) else None
    return {**block, name: read(block[name])} if name and name in block else block

"""Rules that say who answers a request: what one tells of itself, and which rule is the first that it meets.

Pure: the gateway decides with this, and `signalbox route --explain` tells with it. A rule's conditions must all be met;
None is no condition.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypedDict

IMAGE_TOKENS = 1600  # of an image, whatever its size; a PDF file counts as one too
CHARACTERS_A_TOKEN = 4  # of a request's JSON, images aside
THINKS = ("adaptive", "enabled")


class When(TypedDict):
    """What a request must be."""

    lane: str | None
    images: bool | None
    tokens_over: int | None
    thinking: bool | None


class Rule(TypedDict):
    """Who answers the requests that are so. name: in words, as the audit has it; to: a model's own name."""

    name: str
    when: When
    to: str


class Traits(NamedTuple):
    """What rules know of a request.

    tokens: about so many. converses: whether it is a turn of a conversation, and no question beside it, such as for a
    title or a search.
    """

    images: bool
    tokens: int
    thinking: bool
    converses: bool


def traits(document: Mapping[str, Any]) -> Traits:
    """Return what rules know of a request in Anthropic's format."""
    pictures = list(_pictures(document.get("messages")))
    inside = sum(len(each) for each in pictures)
    characters = len(json.dumps(document, ensure_ascii=False, separators=(",", ":"))) - inside
    tools = document.get("tools")
    return Traits(
        images=bool(pictures),
        tokens=characters // CHARACTERS_A_TOKEN + IMAGE_TOKENS * len(pictures),
        thinking=thinks(document),
        converses=isinstance(tools, list) and any(isinstance(each, dict) and "input_schema" in each for each in tools),
    )


def thinks(document: Mapping[str, Any]) -> bool:
    """Return whether a request asks for thinking."""
    thinking = document.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") in THINKS


def searches(document: Mapping[str, Any]) -> bool:
    """Return whether the server itself is asked to search the web, as Claude Code's WebSearch does."""
    tools = document.get("tools")
    kinds = [tool.get("type") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    return any(str(kind).startswith("web_search") for kind in kinds)


def first(rules: Sequence[Rule], lane: str | None, request: Traits) -> Rule | None:
    """Return the first rule that a lane's request meets; None: none, or it is of no lane."""
    return next((each for each in rules if lane is not None and meets(each["when"], lane, request)), None)


def meets(when: When, lane: str, request: Traits) -> bool:
    """Return whether a request meets all that a rule asks for."""
    return (
        when["lane"] in (None, lane)
        and when["images"] in (None, request.images)
        and when["thinking"] in (None, request.thinking)
        and (when["tokens_over"] is None or request.tokens > when["tokens_over"])
    )


def waits(lane_fallbacks: str, asked: str, to: str, free: Collection[str]) -> bool:
    """Return whether a rule moves a request only once somebody has allowed it.

    lane_fallbacks: of the lane, as in the settings. free: models that bill nobody, by all their names.
    """
    return lane_fallbacks == "ask" and asked in free and to not in free


def in_words(when: When) -> str:
    """Return what a rule asks for, in words."""
    words = [
        {True: "images", False: "no images", None: ""}[when["images"]],
        f"more than {when['tokens_over']} tokens" if when["tokens_over"] is not None else "",
        {True: "thinking", False: "no thinking", None: ""}[when["thinking"]],
    ]
    said = " and ".join(filter(None, words)) or "all"
    return f"{said} in {when['lane']}" if when["lane"] else said


def _pictures(messages: object) -> Iterator[str]:
    """Yield the data, or the address, of each image and PDF file, in results of tools too."""
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        for block in content if isinstance(content, list) else ():
            inner = block.get("content") if isinstance(block, dict) and block.get("type") == "tool_result" else None
            for each in (block, *(inner if isinstance(inner, list) else ())):
                source = each.get("source") if isinstance(each, dict) else None
                as_text = isinstance(source, dict) and source.get("type") in ("text", "content")
                if isinstance(source, dict) and not as_text and each.get("type") in ("image", "document"):
                    yield str(source.get("data") or source.get("url") or "")

"""What models print in place of an answer: a tool call as text, or leftovers of a template that is parsed wrongly.

The gateway and the launchers judge by the same words. A printed call is told from a text about such calls by what
stands in it: it is the last thing said, in no code block and no quotation, and in JSON alone it names a tool that was
on offer.
"""

from __future__ import annotations

import re
from collections.abc import Collection

BEGINNINGS = (
    "<unused",
    "<tool_call",
    "<function=",
    "<|tool_call",
    "<|python_tag|>",
    "[TOOL_CALLS]",
    "<start_function_call>",
    "<|channel|>",  # gpt-oss
    "<|start|>",
    "<|im_start|>",
    "<|im_end|>",
    "<\uff5cDSML\uff5c",  # DeepSeek's bars are not ASCII's
    "<\uff5ctool",
    "<seed:tool_call>",
    "<minimax:tool_call>",
    "<function_calls>",
    "<invoke name=",
)
# Where tools are offered, these too; without any, somebody may have asked for just that text.
CALLS = ("```tool_code", "```tool_call", "<tool_code>")
THOUGHT = ("<think>", "</think>")  # printed: what comes after it counts

KEPT = 1 << 14  # characters of an answer's end
OPENS = re.compile(
    r"<tool_call>|<function=|<\|tool_call|<\|python_tag\|>|\[TOOL_CALLS\]|<start_function_call>|<function_calls>"
    r"|<invoke name=|<seed:tool_call>|<minimax:tool_call>|<\uff5cDSML\uff5c|<\uff5ctool|commentary to=functions\."
)
NAMED = re.compile(
    r'\{\s*"(?:name|function|tool)"\s*:\s*"([\w.-]{1,64})"\s*,\s*"(?:arguments|parameters|input)"\s*:'
    r".*\}\s*\]?\s*(?:```)?\s*\Z"
    r"|\b([\w.-]{1,64})\[ARGS\]\s*\{.*\}\s*\Z",
    re.S,
)
ENDS = ("}", ">", "]", ")")


def behind_a_thought(said: str) -> str:
    """Return the text behind a printed thought; "" where that has not ended."""
    if not said.startswith(THOUGHT[0]):
        return said
    return said.partition(THOUGHT[1])[2].lstrip()


def begins(words: str, *, tools: bool) -> bool:
    """Return whether an answer begins with leftovers. tools: whether any were on offer."""
    return words.startswith((*BEGINNINGS, *CALLS) if tools else BEGINNINGS)


def in_call(said: str, names: Collection[str]) -> bool:
    """Return whether a text ends in a printed call. names: of the tools on offer."""
    end = said[-KEPT:].rstrip()
    openings = [found for found in OPENS.finditer(end) if end[: found.start()].count("```") % 2 == 0]
    if openings and end.endswith(ENDS) and end[: openings[0].start()][-1:] != "`":
        called = end[openings[0].end() :]
        if "{" in called or any(name in called for name in names):
            return True
    named = NAMED.search(end)
    return named is not None and (named[1] or named[2]) in names


def is_none(said: str, names: Collection[str]) -> bool:
    """Return whether a whole answer is none: nothing, leftovers, or a printed call. names: of the tools on offer."""
    words = behind_a_thought(said.strip())
    return not words or begins(words, tools=bool(names)) or in_call(words, names)

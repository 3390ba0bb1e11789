"""How much context a model server has loaded, in its own words, and whether that is enough for Claude Code.

A reading is a dict: url, model, models (dotted path to the list of models in the answer; None: there is one model),
names (members of an entry of which one is the model), context (dotted path to the tokens), cure, context_length (what
the settings tell), max_output_tokens, on_demand (each request brings its context), any_name (the only entry of a list
is meant, whatever it is called), opening (tokens of a session's first prompt; without it, OPENING). A sight is url,
body, models, names, model, vision and tools (dotted paths). See signalbox/backends/kind.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

FLOOR = 32768  # tokens: what Claude Code needs to work at all
ROOMY = 65536  # tokens: what is proposed; a session at a terminal has room in it
OPENING = 38000  # tokens of the prompt with which an interactive session of Claude Code 2.1.329 opens
LEAN = 12000  # the same of a lean one, which is a quarter as long

Verdict = tuple[Literal["refused", "warning"], str]


def loaded(answer: Any, reading: dict[str, Any]) -> int | None:
    """Return with how many tokens the model is loaded by a server's answer; None where it is not, or is not told."""
    for entry in _entries(answer, reading):
        context = _at(entry, reading["context"])
        if type(context) is int and context > 0:  # true is no number
            return context
    return None


def sees(answer: Any, sight: dict[str, Any]) -> bool | None:
    """Return whether the model sees images by a server's answer; None where that is not told."""
    return _has("vision", answer, sight)


def takes_tools(answer: Any, sight: dict[str, Any]) -> bool | None:
    """Return whether the model takes tools by a server's answer; None where that is not told."""
    return _has("tools", answer, sight) if sight.get("tools") else None


def _has(word: str, answer: Any, sight: dict[str, Any]) -> bool | None:
    for entry in _entries(answer, sight):
        told = _at(entry, sight[word])
        if isinstance(told, list):
            return word in told
        if isinstance(told, bool):
            return told
    return None


def _entries(answer: Any, asked: dict[str, Any]) -> list[Any]:
    """Return the entries of an answer that are about the model."""
    entries = _at(answer, asked["models"]) if asked["models"] else [answer]
    if not isinstance(entries, list):
        return []
    named = [
        each for each in entries if not asked["names"] or asked["model"] in [_at(each, path) for path in asked["names"]]
    ]
    return entries if not named and asked.get("any_name") and len(entries) == 1 else named


def needed(reading: dict[str, Any]) -> int:
    """Return how many tokens an interactive session needs, or it would summarise itself at nearly every prompt.

    Claude Code 2.1.329 does so at some four fifths of what the longest answer leaves; measured up to 131072.
    """
    return int(reading["max_output_tokens"]) + int(reading.get("opening", OPENING)) * 5 // 4


def verdicts(context: int | None, reading: dict[str, Any]) -> Iterator[Verdict]:
    """Yield what is to be said of a model with so much loaded context, the gravest first and only that.

    Its cure leaves nothing to be said the next time.
    """
    model, wanted = reading["model"], reading["context_length"]
    where = f"{model} at {reading['url']}"
    better = max(ROOMY, wanted, needed(reading))
    there = f"there: {str(reading['cure']).format(context=better)}"
    if context is None:
        if not reading["on_demand"]:
            yield "warning", f"{where} is not loaded; one that is loaded on demand may get too little of it; {there}"
    elif context < FLOOR:
        said = f"{where} is loaded with {context} tokens, below the {FLOOR} that Claude Code needs; {there}"
        yield "warning" if reading["on_demand"] else "refused", said
    elif context < wanted:
        said = f"{where} is loaded with {context} tokens, and context_length is {wanted}; write {context}, or {there}"
        yield "warning", said
    elif context < needed(reading):
        # The gateway's requests bring the context of the settings along: what is loaded there does not last.
        cure = f"write context_length = {better} for it, and deploy" if reading["on_demand"] else there
        said = f"{where} is loaded with {context} tokens: enough for claude -p, but an interactive session needs"
        yield "warning", f"{said} {needed(reading)}; {cure}"


def _at(value: Any, path: str) -> Any:
    """Return what stands at a dotted path, None where nothing does; a number counts in a list."""
    for part in path.split("."):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value

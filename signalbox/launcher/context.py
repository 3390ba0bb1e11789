"""How much context a model server has loaded, in its own words, and whether that is enough for Claude Code.

A reading is a dict: url, model, models (dotted path to the list of models in the answer; None: there is one model),
names (members of an entry of which one is the model), context (dotted path to the tokens), cure, context_length (what
the settings tell), max_output_tokens, on_demand (each request brings its context). See signalbox/backends/shape.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

FLOOR = 32768  # tokens: what Claude Code needs to work at all
OPENING = 38000  # tokens of the prompt with which an interactive session of Claude Code 2.1.329 opens

Verdict = tuple[Literal["refused", "warning"], str]


def loaded(answer: Any, reading: dict[str, Any]) -> int | None:
    """Return with how many tokens the model is loaded by a server's answer; None where it is not, or is not told."""
    entries = _at(answer, reading["models"]) if reading["models"] else [answer]
    for entry in entries if isinstance(entries, list) else ():
        named = not reading["names"] or reading["model"] in [_at(entry, path) for path in reading["names"]]
        context = _at(entry, reading["context"]) if named else None
        if type(context) is int and context > 0:  # true is no number
            return context
    return None


def verdicts(context: int | None, reading: dict[str, Any]) -> Iterator[Verdict]:
    """Yield what is to be said of a model with so much loaded context, the gravest first and only that."""
    model, wanted = reading["model"], reading["context_length"]
    where = f"{model} at {reading['url']}"
    if context is None:
        if not reading["on_demand"]:
            said = f"{where} is not loaded; one that is loaded on demand may get too little of it; there: "
            yield "warning", said + _cure(reading, wanted)
    elif context < FLOOR:
        said = f"{where} is loaded with {context} tokens, below the {FLOOR} that Claude Code needs; there: "
        yield "warning" if reading["on_demand"] else "refused", said + _cure(reading, wanted)
    elif context < wanted:
        said = f"{where} is loaded with {context} tokens, and context_length is {wanted}; write {context}, or there: "
        yield "warning", said + _cure(reading, wanted)
    elif context < (needed := OPENING + reading["max_output_tokens"]):
        said = (
            f"{where} is loaded with {context} tokens: enough for claude -p, but an interactive session needs {needed}"
        )
        yield "warning", f"{said}; there: {_cure(reading, max(65536, needed))}"


def _cure(reading: dict[str, Any], context: int) -> str:
    return str(reading["cure"]).format(context=context)


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

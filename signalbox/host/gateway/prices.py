"""What an answer costs, in USD: by the price that the settings tell, or by LiteLLM's list."""

from __future__ import annotations

import contextlib
import re
from typing import Literal, TypedDict

import litellm

from .deployments import Price

CLAUDE = re.compile(r"claude-(?:fable|opus|sonnet|haiku)-\d+(?:-\d+)?")  # in a model's name, as the vendor calls it
# Claude's, wherever it is bought, as LiteLLM's list has them: what is written to a cache costs so many times the input
# (BerriAI/litellm/issues/42663 tells of one that took no notice), and a search of the web so many USD.
WRITTEN, WRITTEN_HOUR, SEARCH = 1.25, 2.0, 0.01


class Tokens(TypedDict):
    """What an answer is billed by."""

    input: int  # tokens of the prompt, but for those of a cache
    output: int
    cached: int  # of the prompt, read from a cache
    written: int  # of the prompt, written to a cache
    hour: int  # of these, for an hour
    searches: int  # of the web


NOTHING: Tokens = {"input": 0, "output": 0, "cached": 0, "written": 0, "hour": 0, "searches": 0}


def price(name: str, model: str, tokens: Tokens, own: Literal["plan"] | Price | None = None) -> float | None:
    """Return what the tokens cost in USD; None where that is not known.

    own: the price that the settings tell: "plan" (nothing more than what is paid anyway), or USD a million of input,
    cached and output; None: what LiteLLM's list of prices knows.
    """
    if own == "plan":
        return 0.0
    if own:
        written = (tokens["written"] - tokens["hour"]) * WRITTEN + tokens["hour"] * WRITTEN_HOUR
        paid = (tokens["input"] + written) * own["input"] + tokens["cached"] * own["cached"]
        return round((paid + tokens["output"] * own["output"]) / 1e6 + tokens["searches"] * SEARCH, 8)
    usage = litellm.Usage(
        prompt_tokens=tokens["input"] + tokens["cached"] + tokens["written"],
        completion_tokens=tokens["output"],
        cache_read_input_tokens=tokens["cached"],
        cache_creation_input_tokens=tokens["written"],
        prompt_tokens_details={
            "cached_tokens": tokens["cached"],
            "cache_creation_tokens": tokens["written"],
            "cache_creation_token_details": {
                "ephemeral_5m_input_tokens": tokens["written"] - tokens["hour"],
                "ephemeral_1h_input_tokens": tokens["hour"],
            },
        },
    )
    canonical = CLAUDE.search(model)  # a deployment of one's own has a name that no list knows
    for known in (name, model, *((canonical[0],) if canonical else ())):
        with contextlib.suppress(Exception):
            return round(sum(litellm.cost_per_token(model=known, usage_object=usage)) + tokens["searches"] * SEARCH, 8)
    return None

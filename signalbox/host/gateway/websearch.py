"""Makes of Claude Code's WebSearch what LiteLLM answers itself, by the search that gateway.web_search names.

LiteLLM does so for a request whose tools are the search alone: nobody's model is asked, so nothing is made up.
"""

from __future__ import annotations

from typing import Any

from ..shared.route_rules import searches
from . import request_rewriting

ASKED = "Perform a web search for the query:"  # with which Claude Code 2.1.329 begins


def question(kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """Return LiteLLM's arguments of such a request with nothing to say but the query; None: it is more than that."""
    asked = [message for message in kwargs.get("messages") or () if message.get("role") == "user"]
    if not asked or not all(searches({"tools": [tool]}) for tool in kwargs["tools"]):
        return None
    query = request_rewriting.text({"content": request_rewriting.blocks(asked[-1])}).strip().removeprefix(ASKED).strip()
    return {**kwargs, "messages": [{"role": "user", "content": query}]} if query else None

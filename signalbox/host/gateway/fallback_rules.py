"""Which models may follow one that failed: by the settings' `fallbacks`, by the lane, by the client, by the cause."""

from __future__ import annotations

import os
from collections.abc import Iterator

from . import allow
from .deployments import ModelInfo, serves_locally, split
from .request_record import Request

QUOTA = ("rate_limit", "quota")  # what only time heals
# What may follow in a lane, where it is not all that `fallbacks` tell: clouds alone; ask: what bills nobody, until
# somebody allows more; or none.
FALLBACKS_OF = dict(each.split("=") for each in os.environ.get("SIGNALBOX_LANE_FALLBACKS", "").split())


def barred_from(request: Request, model: str) -> tuple[str | None, str] | None:
    """Return why a model must not follow those that this request has tried, and in words; None: it may."""
    may = (
        split(each.info["id"])[1] == model or model in followers(request, each.info, each.why) for each in request.tried
    )
    if request.tried and not any(may):
        why = next((each.why for each in reversed(request.tried) if each.why), None)
        if rule_of(request) == "ask" and not serves_locally(model):
            request.stopped = (model, "ask")
        return why, f"'{model}' follows on a used-up quota alone, or in other lanes"
    return None


def followers(request: Request | None, info: ModelInfo, why: str | None) -> Iterator[str]:
    """Yield the models that may follow this one, which failed for that reason, in this request's lane."""
    rule = rule_of(request)
    may = request.may if request else None
    for model in dict.fromkeys((*(info.get("on_quota", ()) if why in QUOTA else ()), *info.get("fallbacks", ()))):
        if (may is None or model in may) and follows(rule, model, request):
            yield model


def rule_of(request: Request | None) -> str:
    """Return which models may follow in the lane of this request: all, clouds, ask or none."""
    return FALLBACKS_OF.get(request.lane or "", "all") if request else "all"


def follows(rule: str, model: str, request: Request | None) -> bool:
    """Return whether a model may follow by this rule; one that bills nobody needs nobody's word."""
    if rule == "ask":
        return serves_locally(model) or (request is not None and allow.allowed(request))
    return rule == "all" or (rule == "clouds" and not serves_locally(model))

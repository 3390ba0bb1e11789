"""What went wrong with a model, as one of our own words: what a vendor says is read here, and written nowhere."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from . import tls

OVERFLOW = re.compile(r"context|n_ctx|n_keep|too (?:long|large|many tokens)|exceed", re.IGNORECASE)
QUOTA = re.compile(  # what is between two words has a bound: else a long answer takes time that is not linear
    r"credit balance|insufficient[ _](?:quota|balance|credits)|requires more credits|tokens per day"
    r"|quota (?:is )?exceeded|exceeded your .{0,80}quota"
    r"|(?:usage|spend(?:ing)?) limit",
    re.IGNORECASE,
)
TIMED_OUT = re.compile(r"timeout on reading|timed out", re.IGNORECASE)
CHARACTERS = 1 << 13  # that are read of an error
BY_STATUS = {400: "bad_request", 401: "auth", 402: "quota", 403: "auth", 404: "not_found", 408: "timeout",
             413: "overflow", 429: "rate_limit", 499: "client_gone", 503: "unavailable", 504: "timeout",
             529: "overloaded"}  # fmt: skip
BY_ERROR = {"ContextWindowExceededError": "overflow", "Timeout": "timeout", "APIConnectionError": "unreachable",
            "RouterRateLimitError": "cooldown", "AuthenticationError": "auth", "PermissionDeniedError": "auth",
            "RateLimitError": "rate_limit", "ServiceUnavailableError": "unavailable", "NotFoundError": "not_found",
            "BadRequestError": "bad_request"}  # fmt: skip


def error_class(error: BaseException) -> str:
    """Return our own word for what went wrong with a model; `signalbox_class` of an error of ours says it itself."""
    told: str | None = getattr(error, "signalbox_class", None)
    if told:
        return told
    name, words = type(error).__name__, words_of(error)
    if QUOTA.search(words):
        return "quota"
    if of_a_certificate := tls.why(error):
        return of_a_certificate
    if name == "BadRequestError" and OVERFLOW.search(words):
        return "overflow"
    if name == "APIConnectionError" and TIMED_OUT.search(words):
        return "timeout"  # a server that stops in mid-stream; that it still answers probes says nothing
    if words.rstrip(" .None").endswith("Connection error"):
        return "unreachable"  # LiteLLM calls it an InternalServerError
    status: Any = getattr(error, "status_code", None)
    return BY_ERROR.get(name) or BY_STATUS.get(status, "server_error")


def of_status(status: int) -> str:
    """Return our own word for an answer of this HTTP status, 400 or above."""
    return BY_STATUS.get(status, "server_error" if status >= 500 else "bad_request")


def words_of(error: BaseException) -> str:
    """Return what a server says in an error, as far as it is read."""
    told = []
    for each in (error, getattr(error, "body", "")):
        with contextlib.suppress(RecursionError, ValueError):  # nested too deeply; a number that is too long
            told.append(str(each)[:CHARACTERS])
    return " ".join(told)

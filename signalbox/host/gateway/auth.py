"""LiteLLM's custom_auth: keys of clients beside the gateway's own, each with its models and its limits.

LiteLLM keeps these limits in memory: they begin anew with a new gateway. Without a database it has no budgets, and a
key is taken back by a deploy.
"""

from __future__ import annotations

import hmac
import json
import os
from typing import TYPE_CHECKING, TypedDict

from fastapi import HTTPException
from litellm.proxy._types import LitellmUserRoles, UserAPIKeyAuth, hash_token

from .error_messages import WORDS
from .request_record import current

if TYPE_CHECKING:
    from fastapi import Request


class Client(TypedDict):
    """A client of gateway.clients: the variable with its key, its models, and its limits; None: none."""

    secret: str
    models: list[str]
    requests_per_minute: int | None
    tokens_per_minute: int | None
    parallel: int | None  # requests at once


CLIENTS: dict[str, Client] = json.loads(os.environ.get("SIGNALBOX_CLIENTS", "{}"))


async def authenticate(request: Request, api_key: str) -> UserAPIKeyAuth:  # noqa: ARG001 (LiteLLM calls it by these names)
    """Return who has this key, and what it may; HTTPException: nobody."""
    if same(api_key, os.environ["LITELLM_MASTER_KEY"]):
        return UserAPIKeyAuth(api_key=api_key, user_role=LitellmUserRoles.PROXY_ADMIN)
    for name, client in CLIENTS.items():
        if same(api_key, os.environ[client["secret"]]):
            if seen := current():
                seen.client, seen.may = name, client["models"]
            return UserAPIKeyAuth(
                api_key=hash_token(api_key),
                key_alias=name,
                models=client["models"],
                rpm_limit=client["requests_per_minute"],
                tpm_limit=client["tokens_per_minute"],
                max_parallel_requests=client["parallel"],
            )
    raise HTTPException(status_code=400, detail=WORDS)


def same(given: str | None, key: str) -> bool:
    """Compare two keys in a time that does not tell how much of them is alike."""
    return hmac.compare_digest((given or "").removeprefix("Bearer ").encode(), key.encode())

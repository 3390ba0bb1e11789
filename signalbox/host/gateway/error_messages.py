"""LiteLLM plug-in: what the gateway refuses, in words that help.

The gateway's key is LiteLLM's master key, and an agent has it. So whatever is not a question to a model is closed:
LiteLLM's administration, its tests of connections and guardrails, and /health, which bills a completion for each model.

Only the supervisor is answered, by a header that it adds: this container's own port is open to every user of the host,
and one that ends its last requests still has the key from before.
"""

# ruff: noqa: ARG002 (LiteLLM calls the hook by these names)

from __future__ import annotations

import hmac
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException
from litellm.integrations.custom_logger import CustomLogger

from .asgi import Application, Receive, Scope, Send, respond

if TYPE_CHECKING:
    from litellm.proxy._types import UserAPIKeyAuth

OPEN = re.compile(
    r"(/v1)?/(messages(/count_tokens)?|models(/[\w.:-]+)?|(chat/)?completions|responses|embeddings)"
    r"|/health/(liveliness|liveness|readiness)|/signalbox/(models|servers|allow)"
)
RELAY = b"x-signalbox-relay"
CLOSED = {"type": "error", "error": {"type": "not_found_error", "message": "this gateway answers for models alone"}}
WORDS = (
    "this host's gateway refuses the key of this session: it was changed. Leave the session (/exit) and go on with "
    "the same command and --continue, which reads the new key"
)


class Refused(CustomLogger):
    """Closes what no client needs, and puts words to the refusal of a key that is not the gateway's."""

    def __init__(self) -> None:
        super().__init__()
        self._relay = Path(os.environ.get("SIGNALBOX_SECRETS", "/run/secrets"), "RELAY").read_bytes()

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: UserAPIKeyAuth,
        traceback_str: str | None = None,
    ) -> HTTPException | None:
        """Return what is answered in place of the error; None: the error itself."""
        # Without a database LiteLLM says "No connected db." to a key that it does not know.
        if getattr(original_exception, "type", "") != "no_db_connection":
            return None
        # The status stays: at 401 Claude Code would try for a minute and a half without a word.
        return HTTPException(status_code=400, detail=WORDS)

    def around(self, application: Application) -> Application:
        """Return the web application without its closed paths."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan" or (
                scope["type"] == "http" and OPEN.fullmatch(scope["path"]) and self._relayed(scope)
            ):
                await application(scope, receive, send)
            elif scope["type"] == "http":
                await respond(send, 404, CLOSED)
            else:
                await send({"type": "websocket.close", "code": 1008})

        return serve

    def _relayed(self, scope: Scope) -> bool:
        """Return whether the supervisor passed it on; that it did, nobody behind this needs to see."""
        told = [value for name, value in scope["headers"] if name == RELAY]
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != RELAY]
        return any(hmac.compare_digest(value, self._relay) for value in told)


plugin = Refused()

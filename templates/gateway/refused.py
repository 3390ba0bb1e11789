"""LiteLLM plug-in: what the gateway refuses, in words that help.

The gateway's key is LiteLLM's master key, and an agent has it. So whatever is not a question to a model is closed:
LiteLLM's administration, its tests of connections and guardrails, and /health, which bills a completion for each model.
"""

# ruff: noqa: ARG002 (LiteLLM calls the hook by these names)

import json
import re

from fastapi import HTTPException
from litellm.integrations.custom_logger import CustomLogger

OPEN = re.compile(
    r"(/v1)?/(messages(/count_tokens)?|models(/[\w.:-]+)?|(chat/)?completions|responses|embeddings)"
    r"|/health/(liveliness|liveness|readiness)"
)
CLOSED = {"type": "error", "error": {"type": "not_found_error", "message": "this gateway answers for models alone"}}
WORDS = (
    "this host's gateway refuses the key of this session: it was changed. Leave the session (/exit) and go on with "
    "the same command and --continue, which reads the new key"
)


class Refused(CustomLogger):
    """Closes what no client needs, and puts words to the refusal of a key that is not the gateway's."""

    async def async_post_call_failure_hook(
        self, request_data, original_exception, user_api_key_dict, traceback_str=None
    ):
        """Return what is answered in place of the error; None: the error itself."""
        # Without a database LiteLLM says "No connected db." to a key that it does not know.
        if getattr(original_exception, "type", "") != "no_db_connection":
            return None
        # The status stays: at 401 Claude Code would try for a minute and a half without a word.
        return HTTPException(status_code=400, detail=WORDS)

    def around(self, application):
        """Return the web application without its closed paths."""

        async def serve(scope, receive, send):
            if scope["type"] == "lifespan" or (scope["type"] == "http" and OPEN.fullmatch(scope["path"])):
                await application(scope, receive, send)
            elif scope["type"] == "http":
                headers = [(b"content-type", b"application/json")]
                await send({"type": "http.response.start", "status": 404, "headers": headers})
                await send({"type": "http.response.body", "body": json.dumps(CLOSED).encode()})
            else:
                await send({"type": "websocket.close", "code": 1008})

        return serve


plugin = Refused()

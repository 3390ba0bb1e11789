"""What LiteLLM loads of ours: `callbacks` in config.yaml names `failover`, `audited` and `refused` here."""

import audit
import client_gone
import failover as ours
import guard
import refused as closed
from litellm.litellm_core_utils.streaming_chunk_builder_utils import ChunkProcessor
from litellm.proxy import proxy_server

failover = ours.plugin
audited = audit.plugin
refused = closed.plugin
audited.broke_off = failover.broke_off


def fallback_of(model):
    """Return the first model that follows `model`, as LiteLLM's own router would choose it; None: none does."""
    for entry in proxy_server.llm_router.fallbacks or ():
        for following in entry.get(model, ())[:1]:
            return following
    return None


def counted(calculate):
    """Return LiteLLM's own count of a stream's tokens, which from now on tells the audit when it had to guess."""

    def count(self, chunks, *more, **named):
        request = audit.current()
        if request and request.estimated is None:  # the first time: later it counts what it made of the stream
            request.estimated = not any(chunk.get("usage") for chunk in chunks)
        return calculate(self, chunks, *more, **named)

    return count


ChunkProcessor.calculate_usage = counted(ChunkProcessor.calculate_usage)

# The application runs already when LiteLLM reads its configuration, and takes no more middleware by then.
if proxy_server.app.middleware_stack is not None:
    proxy_server.app.middleware_stack = refused.around(
        audited.around(client_gone.around(guard.around(proxy_server.app.middleware_stack, fallback_of)))
    )

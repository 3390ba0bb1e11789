"""What LiteLLM loads of ours: `callbacks` in config.yaml names `failover`, `audited` and `refused` here."""

from litellm.litellm_core_utils import url_utils
from litellm.litellm_core_utils.streaming_chunk_builder_utils import ChunkProcessor
from litellm.litellm_core_utils.url_utils import SSRFError, validate_url  # noqa: F401 (told where LiteLLM has it no more)
from litellm.llms.anthropic.pass_through.adapters import streaming_iterator, transformation
from litellm.llms.anthropic.pass_through.messages import utils as anthropic_messages
from litellm.proxy import proxy_server

from . import (
    allow,
    answer_check,
    attention,
    audit,
    auth,
    bounds,
    budget,
    call_ids,
    disconnects,
    spent,
    status_route,
    stream_repair,
    tls,
)
from . import error_messages as closed
from . import failover as ours

failover = ours.plugin
audited = audit.plugin
refused = closed.plugin
bounds.bound()
tls.everywhere()
authenticate = auth.authenticate  # where `custom_auth` names it
audited.broke_off = failover.broke_off
budget.ledger.count()
attention.plugin.begin()


def wrote(record):
    """Have a line of the audit counted, and looked at."""
    budget.ledger.count()
    attention.plugin.wrote(record)


audited.wrote = wrote


def counted(calculate):
    """Return LiteLLM's own count of a stream's tokens, which from now on tells the audit when it had to guess."""

    def count(self, chunks, *more, **named):
        request = audit.current()
        if request and request.estimated is None:  # the first time: later it counts what it made of the stream
            request.estimated = not any(chunk.get("usage") for chunk in chunks)
        return calculate(self, chunks, *more, **named)

    return count


ChunkProcessor.calculate_usage = counted(ChunkProcessor.calculate_usage)


def fetches_nothing(url):
    """Refuse what a request asks LiteLLM to get, such as an image by its address: the agent may not reach it itself."""
    raise SSRFError(f"this gateway fetches nothing: send the image itself, in base64, not {url}")


url_utils.validate_url = fetches_nothing
splitter = streaming_iterator._CombinedChunkSplitter  # what each stream of chat completions goes through
splitter._expand = stream_repair.around(splitter._expand)
transformation.normalize_anthropic_tool_use_id = call_ids.written(transformation.normalize_anthropic_tool_use_id)
anthropic_messages.sanitize_tool_use_ids_in_anthropic_messages = call_ids.as_said(
    anthropic_messages.sanitize_tool_use_ids_in_anthropic_messages
)

# The application runs already when LiteLLM reads its configuration, and takes no more middleware by then.
if proxy_server.app.middleware_stack is not None:
    application = disconnects.around(answer_check.around(proxy_server.app.middleware_stack, failover.following))
    told = {"/signalbox/models": failover.loaded, "/signalbox/servers": failover.servers}
    heard = spent.around(audited.around(application))
    proxy_server.app.middleware_stack = refused.around(allow.around(status_route.around(heard, told)))
    failover.start()

"""What LiteLLM loads of ours: `callbacks` in config.yaml names `failover`, `audited` and `refused` here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import litellm
from litellm.litellm_core_utils import token_counter, url_utils
from litellm.litellm_core_utils.streaming_chunk_builder_utils import ChunkProcessor
from litellm.litellm_core_utils.token_counter import get_modified_max_tokens  # noqa: F401 (as below)
from litellm.litellm_core_utils.url_utils import SSRFError, validate_url  # noqa: F401 (told where LiteLLM has it no more)
from litellm.llms.anthropic.pass_through.adapters import streaming_iterator, transformation
from litellm.llms.anthropic.pass_through.messages import utils as anthropic_messages
from litellm.proxy import proxy_server
from litellm.proxy.common_request_processing import ProxyBaseLLMRequestProcessing

from . import (
    alerts,
    allow,
    answer_check,
    answer_limits,
    audit,
    auth,
    budget,
    call_ids,
    disconnects,
    refusals,
    status_route,
    stream_repair,
    tls,
)
from . import error_messages as closed
from . import failover as ours
from .request_record import Record, current

if TYPE_CHECKING:
    from litellm import Usage
    from litellm.proxy._types import UserAPIKeyAuth
    from litellm.router import Router

failover = ours.plugin
audited = audit.plugin
refused = closed.plugin
answer_limits.bound()
tls.everywhere()
authenticate = auth.authenticate  # where `custom_auth` names it
audited.broke_off = failover.broke_off
budget.ledger.count()
alerts.plugin.begin()


def wrote(record: Record) -> None:
    """Have a line of the audit counted, and looked at."""
    budget.ledger.count()
    alerts.plugin.wrote(record)


audited.wrote = wrote


def counted(calculate: Callable[..., Usage]) -> Callable[..., Usage]:
    """Return LiteLLM's own count of a stream's tokens, which from now on tells the audit when it had to guess."""

    def count(self: ChunkProcessor, chunks: Sequence[Any], *more: Any, **named: Any) -> Usage:
        request = current()
        if request and request.estimated is None:  # the first time: later it counts what it made of the stream
            request.estimated = not any(chunk.get("usage") for chunk in chunks)
        return calculate(self, chunks, *more, **named)

    return count


ChunkProcessor.calculate_usage = counted(ChunkProcessor.calculate_usage)  # type: ignore[method-assign]


def at_most(base_model: str, user_max_tokens: int | None, **_: Any) -> int | None:
    """Return how long an answer may be, in tokens. LiteLLM's own counts each prompt for it: 25 ms for 100000 tokens."""
    try:
        most = litellm.get_max_tokens(base_model)
    except Exception:  # LiteLLM's own, for a model that no list knows
        most = None
    return min(user_max_tokens, most) if most and user_max_tokens else user_max_tokens


def asks_no_other(llm_router: Router, user_api_key_dict: UserAPIKeyAuth) -> None:
    """Return the fallbacks of a client that is over its own limit: LiteLLM would copy each request, and ask in vain."""


token_counter.get_modified_max_tokens = at_most
ProxyBaseLLMRequestProcessing._configured_fallbacks = staticmethod(asks_no_other)  # type: ignore[method-assign]


def fetches_nothing(url: str) -> NoReturn:
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
    told = {"/signalbox/models": failover.watch.loaded, "/signalbox/servers": failover.watch.servers}
    heard = refusals.around(audited.around(application))
    proxy_server.app.middleware_stack = refused.around(allow.around(status_route.around(heard, told)))
    failover.watch.start()

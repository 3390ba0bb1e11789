"""What LiteLLM loads of ours: `callbacks` in config.yaml names `failover`, `audited` and `refused` here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from litellm.litellm_core_utils import url_utils
from litellm.litellm_core_utils.streaming_chunk_builder_utils import ChunkProcessor
from litellm.litellm_core_utils.url_utils import SSRFError, validate_url  # noqa: F401 (told where LiteLLM has it no more)
from litellm.proxy import proxy_server

from . import alerts, allow, answer_check, answer_limits, audit, auth, budget, disconnects, spent, status_route, tls
from . import error_messages as closed
from . import failover as ours
from .request_record import Record, current

if TYPE_CHECKING:
    from litellm import Usage

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


def fetches_nothing(url: str) -> NoReturn:
    """Refuse what a request asks LiteLLM to get, such as an image by its address: the agent may not reach it itself."""
    raise SSRFError(f"this gateway fetches nothing: send the image itself, in base64, not {url}")


url_utils.validate_url = fetches_nothing

# The application runs already when LiteLLM reads its configuration, and takes no more middleware by then.
if proxy_server.app.middleware_stack is not None:
    application = disconnects.around(answer_check.around(proxy_server.app.middleware_stack, failover.following))
    told = {"/signalbox/models": failover.watch.loaded, "/signalbox/servers": failover.watch.servers}
    heard = spent.around(audited.around(application))
    proxy_server.app.middleware_stack = refused.around(allow.around(status_route.around(heard, told)))
    failover.watch.start()

"""LiteLLM plug-in: leaves a local server out at once while it is not there.

LiteLLM's own background health checks send a completion to each model every few seconds: that evicts the
prompt cache of a server with one slot, takes a busy server for a dead one, and in 1.108 does not spare
requests the wait for a machine that is off. This asks the server's list of models instead, just before a
request: a millisecond on a LAN, nothing to compute, and answered while a long prompt is being read.
"""

# ruff: noqa: ARG002 (LiteLLM calls the hook by these names)

import asyncio
import http.client
import os
import time
import urllib.error
import urllib.request

from litellm import ServiceUnavailableError
from litellm.integrations.custom_logger import CustomLogger

INTERVAL = float(os.environ.get("SIGNALBOX_PROBE_SECONDS", "10"))  # a server that is gone is not asked again for this
PATIENCE = 2.0  # seconds until a server that does not answer counts as gone


class Reachability(CustomLogger):
    """Filter of deployments by `model_info.probe_url`; one without it (a cloud's) is never probed."""

    def __init__(self):
        super().__init__()
        self._gone_until = {}  # of a URL that did not answer, on the monotonic clock

    async def async_filter_deployments(
        self, model, healthy_deployments, messages, request_kwargs=None, parent_otel_span=None
    ):
        """Return the deployments that answer. Where none does, the error makes LiteLLM take the fallback at once."""
        there = [each for each in healthy_deployments if await self._answers(each["model_info"].get("probe_url"))]
        if healthy_deployments and not there:
            raise ServiceUnavailableError(
                f"the server of '{model}' does not answer at {healthy_deployments[0]['model_info']['probe_url']}",
                llm_provider="",
                model=model,
            )
        return there

    async def _answers(self, url):
        if url is None:
            return True
        if time.monotonic() < self._gone_until.get(url, 0):
            return False
        if await asyncio.to_thread(answers, url):
            return True
        self._gone_until[url] = time.monotonic() + INTERVAL
        return False


def answers(url):
    """Return whether an HTTP server answers, whatever it says: even a 401 comes from a server that is there."""
    try:
        urllib.request.urlopen(url, timeout=PATIENCE).close()  # noqa: S310 (http or https, from the settings)
    except urllib.error.HTTPError:
        return True
    except (OSError, http.client.HTTPException):
        return False
    return True


plugin = Reachability()

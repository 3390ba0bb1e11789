"""Any server with OpenAI's chat completions: Open WebUI (url ends in /api), another LiteLLM, and the like.

Such a server may hand a request on to a cloud: only its owner knows what is behind it.
"""

from __future__ import annotations

from signalbox.backends.records import Backend
from signalbox.backends.server import ServerKind


class OpenAICompatible(ServerKind):
    usual = ":3000/api"
    start = "open-webui serve --host 0.0.0.0 --port 3000; others as their manuals say, on an address of your network"

    def native_anthropic(self, _: Backend) -> str | None:
        return None


KIND = OpenAICompatible()

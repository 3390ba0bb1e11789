"""What the kinds of clouds share; what a kind does otherwise its module says."""

from __future__ import annotations

from collections.abc import Iterator

from signalbox.backends.kind import Params, Probe, key
from signalbox.backends.records import Cloud, CloudModel, Model


class CloudKind:
    """A kind of account that bills.

    serves_claude: whether its models are Claudes, which Claude Code knows by their names. account: what its bills go
    to, in words, before the name of its secret. usual: its API's address. provider: LiteLLM's client for it.
    """

    serves_claude = True
    account: str
    usual: str
    provider: str

    def problems(self, record: Cloud) -> Iterator[tuple[str, str]]:
        """Yield a setting of the record and what is wrong with it, as this kind needs it."""
        if record.url is None:
            yield "url", f"missing; write the server's address, such as {self.usual}"
        if record.resource is not None:
            yield "resource", "only azure_foundry has one; write None here"
        if record.bearer:
            yield "bearer", "only azure_foundry takes its key in two ways; write False here"

    def base(self, record: Cloud) -> str:
        """Return where its API is, without /v1."""
        return str(record.url)

    def litellm_params(self, record: Cloud, model: Model) -> Params:
        """Return LiteLLM's `litellm_params`: prefix and id, `api_base`, and the key as os.environ/NAME."""
        return {"model": f"{self.provider}/{model.id}", "api_base": self.base(record), **key(record.secret)}

    def refuses(self, record: Cloud, model: CloudModel) -> list[str]:  # noqa: ARG002 (kinds use them)
        """Return what the model refuses of a request for a Claude, as host/gateway/request_rewriting.py calls it."""
        return []

    def probe(self, record: Cloud) -> Probe:
        """Return how to see whether it answers: with 401, as no key is sent, which is free and proves name and TLS."""
        return Probe(f"{self.base(record)}/v1/models")

    def native_anthropic(self, record: Cloud) -> str | None:
        """Return the base URL (without /v1) of its Anthropic endpoint; None if it has none."""
        return self.base(record) if self.serves_claude else None

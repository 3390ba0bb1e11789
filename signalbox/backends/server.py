"""What the kinds of model servers share: OpenAI's chat completions; what a kind does otherwise its module says."""

from __future__ import annotations

from collections.abc import Iterator

from signalbox.backends.kind import Ask, Identity, Listing, Params, Probe, Reading, Sight, key
from signalbox.backends.records import Backend, BackendModel, Model


class ServerKind:
    """A kind of server on one's own network.

    usual: port and path where such a server listens unless it was told otherwise, such as ":1234". start: how it is
    started so that Claude Code can use it, for people. provider: LiteLLM's client for it; `hosted_vllm` is the
    plainest of OpenAI's /v1/chat/completions: `openai` would post to /v1/responses, and `anthropic` hands on headers
    and roles that only Anthropic's own servers know. written_as: LiteLLM's clients that people write for it by hand.
    takes_tool_choice: whether its Anthropic endpoint heeds a request's tool_choice.
    """

    usual: str
    start: str
    provider = "hosted_vllm"
    written_as: tuple[str, ...] = ()
    takes_tool_choice = True

    def problems(self, record: Backend) -> Iterator[tuple[str, str]]:
        """Yield a setting of the record and what is wrong with it, as this kind needs it."""
        if record.url is None:
            yield "url", f"missing; write the server's address, such as http://192.168.1.20{self.usual}"

    def litellm_params(self, record: Backend, model: Model) -> Params:
        """Return LiteLLM's `litellm_params`: prefix and id, `api_base`, and the key as os.environ/NAME."""
        return {"model": f"{self.provider}/{model.id}", "api_base": f"{record.url}/v1", **key(record.token)}

    def probe(self, record: Backend) -> Probe:
        """Return how to see whether the server answers."""
        return Probe(f"{record.url}/v1/models", record.token)

    def native_anthropic(self, record: Backend) -> str | None:
        """Return the base URL (without /v1) of the server's own Anthropic endpoint; None if it has none."""
        return record.url

    def reading(self, record: Backend, model: BackendModel) -> Reading | None:  # noqa: ARG002 (kinds use them)
        """Return how to read the model's loaded context; None where such a server does not tell."""
        return None

    def sight(self, record: Backend, model: BackendModel) -> Sight | None:  # noqa: ARG002
        """Return where the server tells whether the model sees images; None where such a server does not tell."""
        return None

    def slots(self, record: Backend, model: BackendModel) -> str | None:  # noqa: ARG002
        """Return the URL at which the server tells how far it has read a prompt; None where it does not tell."""
        return None

    def listing(self, record: Backend) -> Listing:
        """Return where the server lists its models."""
        return Listing(f"{record.url}/v1/models", "data", "id")

    def identity(self, model: str, ask: Ask) -> Identity:  # noqa: ARG002
        """Return what the server tells of itself and of a model, asked by `ask`."""
        return Identity()

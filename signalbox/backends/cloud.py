"""What the kinds of clouds share; what a kind does otherwise its module says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from signalbox.backends.kind import Asked, Params, Probe, key
from signalbox.backends.records import Cloud, CloudModel, Model
from signalbox.fields.urls import API_TAIL, added_tail

# What some kinds have alone.
SPECIAL = ("resource", "bearer", "region", "project", "access_key_id")
_VERSION = {"anthropic-version": "2023-06-01"}


class CloudKind:
    """A kind of account that bills.

    account: what its bills go to, in words, before the name of its secret. usual: its API's address. provider:
    LiteLLM's client for it. serves_claude: whether its models are Claudes, which Claude Code knows by their names.
    takes_over: whether a session that another model began can go on there. takes: which of SPECIAL it has. adds: what
    of a URL it adds itself.

    The rest is for `signalbox init`, and for `adopt`. called: its name in a sentence; offer: what one chooses with it.
    key_question, key_prefix: how its key is asked for, and what each begins with. address_question: for an address of
    one's own; None: the one that clouds with a `url` in group_data/all.py share. model_list: where its models are
    listed, below its address, free of charge; None: nowhere, and `check_costs` says what it costs to ask for each.
    """

    account: str
    usual: str
    provider: str
    serves_claude = True
    takes_over = True
    takes: frozenset[str] = frozenset()  # of the settings that are some kinds' alone
    adds = API_TAIL

    called: str
    offer: str
    key_question: Asked
    key_prefix = ""
    address_question: Asked | None = None
    model_list: str | None = "/v1/models"
    check_costs = ""

    def problems(self, record: Cloud) -> Iterator[tuple[str, str]]:
        """Yield a setting of the record and what is wrong with it, as this kind needs it."""
        if record.url is None:
            yield "url", f"missing; write the server's address, such as {self.usual}"
        yield from self.strange(record)

    def strange(self, record: Cloud) -> Iterator[tuple[str, str]]:
        """Yield the settings that this kind has not, and an address that says too much."""
        for name in SPECIAL:
            if name not in self.takes and getattr(record, name):
                yield name, f"{record.kind} has none; write {'False' if name == 'bearer' else 'None'} here"
        if record.url and (said := added_tail(record.url, self.adds)):
            yield "url", said

    def base(self, record: Cloud) -> str:
        """Return where its API is, without /v1."""
        return str(record.url)

    def litellm_params(self, record: Cloud, model: Model) -> Params:
        """Return LiteLLM's `litellm_params`: prefix and id, `api_base`, and the key as os.environ/NAME."""
        return {"model": f"{self.provider}/{model.id}", "api_base": self.base(record), **key(record.secret)}

    def refuses(self, record: Cloud, model: CloudModel) -> list[str]:  # noqa: ARG002 (kinds use them)
        """Return what the model refuses of a request for a Claude, as host/gateway/request_rewriting.py calls it."""
        return []

    def also_reaches(self, record: Cloud) -> tuple[str, ...]:  # noqa: ARG002
        """Return the URLs of what else must be reached, such as where it gives out tokens."""
        return ()

    def probe(self, record: Cloud) -> Probe:
        """Return how to see whether it answers: with 401, as no key is sent, which is free and proves name and TLS."""
        return Probe(f"{self.base(record)}/v1/models")

    def native_anthropic(self, record: Cloud) -> str | None:
        """Return the base URL (without /v1) of its Anthropic endpoint; None if it has none."""
        return self.base(record) if self.serves_claude else None

    def headers(self, secret: str) -> dict[str, str]:
        """Return the headers of a request with this key."""
        return {"x-api-key": secret, **_VERSION}

    def questions(self, claudes: Sequence[str]) -> tuple[Asked, ...]:  # noqa: ARG002
        """Return what is asked before address and key; claudes: the names of the models that lanes ask for."""
        return ()

    def settings(self, answers: Mapping[str, str], claudes: Sequence[str], prefix: str) -> dict[str, Any]:  # noqa: ARG002
        """Return what the answers to `questions`, by their ids, make of the record.

        Args:
            prefix: before the names of its models, where another account has models of these names.
        """
        return {}

    def at(self, url: str) -> dict[str, Any]:
        """Return what an address of one's own makes of the record."""
        return {"url": url}

    def serves(self, provider: str, base: str, model: str) -> bool:  # noqa: ARG002
        """Return whether an entry of somebody's LiteLLM, with this provider, api_base and id, is of this kind."""
        return provider == self.provider

    def place(self, base: str) -> dict[str, str]:
        """Return the settings of the record, such as {"url": …}, that an entry's api_base stands for; {} for none."""
        url = base.removesuffix("/v1")
        return {"url": url} if url not in ("", self.usual) else {}

    def lengths(self, model: str) -> tuple[int, int] | None:  # noqa: ARG002
        """Return the context and the longest answer, in tokens, of a model that is no Claude; None: unknown."""
        return None


class ChatCloud(CloudKind):
    """A cloud with OpenAI's paths below /v1, whose models are no Claudes."""

    serves_claude = False

    def litellm_params(self, record: Cloud, model: Model) -> Params:
        return super().litellm_params(record, model) | {"api_base": f"{self.base(record)}/v1"}

    def headers(self, secret: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {secret}"}


class ResoldClaude(CloudKind):
    """Claudes that a cloud sells by an API of its own, which Claude Code's own does not reach, and lists nowhere."""

    model_list = None

    def refuses(self, record: Cloud, model: CloudModel) -> list[str]:  # noqa: ARG002
        return ["late_system", "efforts", "betas"]  # BerriAI/litellm/issues/16561: "invalid beta flag"

    def probe(self, record: Cloud) -> Probe:
        return Probe(self.base(record))

    def native_anthropic(self, record: Cloud) -> str | None:  # noqa: ARG002
        return None

"""The records of what serves models: backends on one's own network, and clouds, which bill."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, ValidationInfo, field_validator

from signalbox.fields.checks import between
from signalbox.fields.models import LiteLLMParams, ModelId, ModelName, Words
from signalbox.fields.numbers import Context, Tokens, Usd
from signalbox.fields.secrets import SecretName
from signalbox.fields.section import Section
from signalbox.fields.urls import Project, Region, Resource, ServerUrl, WebUrl


def _price(value: object) -> object:
    """Without a price of its own, what was cached costs what a prompt does."""
    if isinstance(value, dict) and "input" in value:
        return {"cached": value["input"], **value}
    return value


def leaves_room(value: int | None, info: ValidationInfo) -> int | None:
    """The longest answer and a prompt fit the context together."""
    context = info.data.get("context_length")
    if context is not None and value is not None and value > context // 2:
        raise ValueError(
            f"{value} leaves too little of the context of {context} for the prompt; write {context // 4} or less"
        )
    return value


class Price(Section):
    """What tokens cost, in USD a million: of a prompt, of an answer, and of what a prompt cache held already."""

    input: Usd
    output: Usd
    cached: Usd


class Model(Section):
    """A model: its name at the gateway, its id at the server, other names, and more for its entry in LiteLLM.

    price: None: LiteLLM's list knows it, or nobody does; "plan": it is paid by the month, and no request costs more.
    """

    name: ModelName
    id: ModelId | None
    aliases: list[ModelName]
    price: Annotated[Price | Literal["plan"] | None, BeforeValidator(_price)]
    litellm_params: LiteLLMParams

    @property
    def names(self) -> list[str]:
        """Its name and its aliases."""
        return [self.name, *self.aliases]


class BackendModel(Model):
    """A model on your own network; both lengths in tokens. `order` is among the backends with a model of its name."""

    context_length: Context
    max_output_tokens: Tokens
    order: Annotated[int, between(1, 99, "1 is asked first")]

    _leaves_room = field_validator("max_output_tokens")(leaves_room)


class CloudModel(Model):
    """A model of a cloud; lengths in tokens for one that is no Claude, None for what Claude Code knows by its name."""

    context_length: Context | None
    max_output_tokens: Tokens | None
    adaptive_thinking: bool

    _leaves_room = field_validator("max_output_tokens")(leaves_room)


class Backend(Section):
    """A model server on your own network; `url` has no /v1, `token` is a secret's name.

    payer: who is billed, in words; then the server is somebody else's, and its answers are told and counted as billed.
    """

    name: str
    enabled: bool
    kind: Literal["lm_studio", "ollama", "llama_cpp", "vllm", "openai_compatible"] | None
    url: ServerUrl | None
    token: SecretName | None
    payer: Words | None
    models: dict[str, BackendModel]

    @property
    def own(self) -> bool:
        """Whether nobody is billed."""
        return self.payer is None


class Cloud(Section):
    """An account that bills; `secret` is a secret's name, `resource` is Foundry's in place of a URL.

    region, project, access_key_id: where kinds want them: AWS's or Google's region, Google's project, and the name of
    the secret with the id that goes with an AWS secret key.
    """

    name: str
    enabled: bool
    kind: (
        Literal[
            "anthropic", "azure_foundry", "mistral", "openai", "gemini", "openrouter", "anthropic_compatible",
            "openai_compatible", "bedrock", "vertex",
        ]
        | None
    )  # fmt: skip
    url: WebUrl | None
    resource: Resource | None
    region: Region | None
    project: Project | None
    access_key_id: SecretName | None
    secret: SecretName | None
    bearer: bool
    models: dict[str, CloudModel]

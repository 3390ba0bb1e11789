"""The records: what serves models (backends, clouds) and who uses which (lanes)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, ValidationInfo, field_validator

from signalbox.settings.fields import (
    ConfigDir,
    Context,
    Effort,
    LiteLLMParams,
    ModelId,
    ModelName,
    Resource,
    SecretName,
    ServerUrl,
    Words,
    between,
    checked,
    secret_name,
)
from signalbox.settings.sections import Section

Slot = Literal["main", "opus", "sonnet", "haiku", "fable", "subagent"]
SLOTS = ("main", "opus", "sonnet", "haiku", "fable")  # those Claude Code always asks for; subagent is optional


def _usd(value: object) -> object:
    """A whole number is an amount, too."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 <= value < 1e6:
            raise ValueError(f"{value} is no amount; write USD, from 0 to 999999")
        return float(value)
    return value


def _price(value: object) -> object:
    """Without a price of its own, what was cached costs what a prompt does."""
    if isinstance(value, dict) and "input" in value:
        return {"cached": value["input"], **value}
    return value


Tokens = Annotated[int, between(1, 1 << 24, "tokens")]
Usd = Annotated[float, BeforeValidator(_usd)]


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
    """An account that bills; `secret` is a secret's name, `resource` is Foundry's in place of a URL."""

    name: str
    enabled: bool
    kind: Literal["anthropic", "azure_foundry", "mistral"] | None
    url: ServerUrl | None
    resource: Resource | None
    secret: SecretName | None
    bearer: bool
    models: dict[str, CloudModel]


def _credential(value: str) -> str:
    return value if value in {"gateway", "none"} else secret_name(value)


class Lane(Section):
    """One way to run Claude Code, started by `claude-<name>`; `models` maps slots to models of the gateway."""

    name: str
    enabled: bool
    via: Literal["gateway", "direct", "first-party"]
    models: dict[Slot, ModelName]
    config_dir: ConfigDir | None
    credential: Annotated[str, checked(_credential)]
    billed: Words | None
    private: bool
    fallbacks: Literal["all", "clouds", "ask", "none"]
    effort: Effort
    permission_mode: Literal["default", "acceptEdits", "plan", "auto", "bypass"]
    prompt: Literal["lean", "full"] | None

"""Claude in Azure AI Foundry: a model's id is the name of its deployment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator

from signalbox.backends.cloud import CloudKind
from signalbox.backends.kind import Asked, Params, key
from signalbox.backends.records import Cloud, CloudModel, Model
from signalbox.fields.messages import show
from signalbox.fields.urls import Resource, WebUrl

_DOMAIN = ".services.ai.azure.com"


def _deployment(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{1,63}", value):
        raise ValueError(
            f"{show(value)} is no deployment's name (letters, digits, - _ .); write one such as claude-sonnet-4-6"
        )
    return value


def _family(claude: str) -> str:
    """Return the word that tells a Claude from the others: `claude-opus-4-8` -> `opus`."""
    return claude.split("-")[1]


class AzureFoundry(CloudKind):
    account = "the Azure subscription"
    takes = frozenset({"resource", "bearer"})

    called = "Foundry"
    offer = "Claude in Azure AI Foundry"
    key_question = Asked(
        id="key",
        words="Your key of the Foundry resource (not shown)",
        example="KEY 1 of Keys and Endpoint",
        more="In the portal: Keys and Endpoint; either of the two.",
    )
    address_question = Asked(
        id="url",
        words="Address of Foundry, without /anthropic (`standard`: that of the resource)",
        example="https://foundry-gateway.example.org",
        more="A gateway of your company may stand before it.",
        default="standard",
        value=WebUrl,
        standard=True,
    )
    model_list = None  # Claude's own docs on Foundry
    check_costs = "Foundry has no free question: one of a few tokens goes to each of your deployments, and is billed."

    def problems(self, record: Cloud) -> Iterator[tuple[str, str]]:
        if record.resource is None and record.url is None:
            yield "resource", 'missing; write the resource\'s name, such as "myfoundry"'
        if record.resource is not None and record.url is not None:
            instead = "write None here, or None there for a gateway of your own"
            yield "url", f"azure_foundry is found by its resource; {instead}"
        yield from self.strange(record)

    def base(self, record: Cloud) -> str:
        # No trailing slash and no /v1/messages: LiteLLM appends its own path.
        return f"{record.url or f'https://{record.resource}{_DOMAIN}'}/anthropic"

    def litellm_params(self, record: Cloud, model: Model) -> Params:
        # LiteLLM takes an azure_ai deployment for a Claude by that word in its name alone; any other would be asked at
        # /chat/completions, where Foundry has no Claude.
        provider = "azure_ai" if "claude" in str(model.id).lower() else "anthropic"
        return {"model": f"{provider}/{model.id}", "api_base": self.base(record), **key(record.secret)}

    def refuses(self, record: Cloud, model: CloudModel) -> list[str]:
        # Of the first guide's known issues; adaptive thinking is refused by some deployments alone.
        options = {"thinking": not model.adaptive_thinking, "x-api-key": record.bearer}
        return ["late_system", "efforts", "betas", *(word for word, refused in options.items() if refused)]

    def questions(self, claudes: Sequence[str]) -> tuple[Asked, ...]:
        resource = Asked(
            id="resource",
            words="Name of your Foundry resource",
            example=f"myfoundry, the first label of https://myfoundry{_DOMAIN}",
            more="In the portal: Keys and Endpoint. Not the long id that begins with /subscriptions.",
            value=Resource,
        )
        deployments = (
            Asked(
                id=_family(name),
                words=f"Name of your deployment of {_family(name).capitalize()} in Foundry",
                example=f"our-{name}",
                more="It is in the portal of Azure AI Foundry under Deployments. Keep the model's name in it.",
                default=name,
                value=Annotated[str, AfterValidator(_deployment)],
            )
            for name in claudes
        )
        return (resource, *deployments)

    def settings(self, answers: Mapping[str, str], claudes: Sequence[str], prefix: str) -> dict[str, Any]:
        models = {
            f"{prefix}{name}": {"id": answers[_family(name)], "aliases": [f"foundry-{_family(name)}"]}
            for name in claudes
            if _family(name) in answers
        }
        return {"resource": answers.get("resource", ""), "models": models}

    def at(self, url: str) -> dict[str, Any]:
        return {"resource": None, "url": url}

    def serves(self, provider: str, base: str, _model: str) -> bool:
        return provider == "azure_ai" or (provider == "anthropic" and base.endswith("/anthropic"))

    def place(self, base: str) -> dict[str, str]:
        base = base.removesuffix("/anthropic")
        host = urlsplit(base).hostname or ""
        if host.endswith(_DOMAIN):
            return {"resource": host.partition(".")[0]}
        return {"url": base} if base else {}


KIND = AzureFoundry()

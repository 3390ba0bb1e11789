"""The deployments among which LiteLLM chooses, with what gateway_config.py says of each in config.yaml."""

from __future__ import annotations

import os
from typing import Any, Literal, TypedDict

from litellm.proxy import proxy_server

LOCAL = frozenset(os.environ.get("SIGNALBOX_LOCAL", "").split())  # backends that bill nobody


class Price(TypedDict):
    """What a million tokens cost, in USD."""

    input: float
    cached: float
    output: float


class ModelInfo(TypedDict, total=False):
    """`model_info` of a deployment: what our modules need to know of it."""

    id: str  # "<record>/<model>"
    probe_url: str  # of a local server's list of models; a cloud is never probed
    reading: dict[str, Any]  # of a local model, how its server tells its context (shared/context.py)
    sight: dict[str, Any]  # the same of images
    fallbacks: list[str]  # models that may follow this one
    on_quota: list[str]  # models that may follow only when its quota is used up
    price: Literal["plan"] | Price  # "plan": nothing more than what is paid anyway; absent: LiteLLM's list of prices
    claude: bool  # whether it is one
    searches: str  # the kind of search by which LiteLLM answers WebSearch for it
    refuses: list[str]  # what it does not take of a Claude's request (request_rewriting.py)
    max_output_tokens: int


class Deployment(TypedDict):
    """An entry of `model_list`."""

    model_name: str
    model_info: ModelInfo
    litellm_params: dict[str, Any]


def known() -> list[Deployment]:
    """Return all of them; none while LiteLLM reads its configuration."""
    router = proxy_server.llm_router
    return router.model_list if router else []


def of_model(model: str) -> list[Deployment]:
    """Return those that serve a model, by its name."""
    return [each for each in known() if each["model_name"] == model]


def split(ident: str) -> tuple[str, str]:
    """Return the record and the model of a deployment's id."""
    record, _, model = ident.partition("/")
    return record, model


def is_local(ident: str) -> bool:
    """Return whether a deployment, by its id, is on one's own network, and bills nobody."""
    return split(ident)[0] in LOCAL


def serves_locally(model: str) -> bool:
    """Return whether a model is served on one's own network."""
    return any(is_local(each["model_info"]["id"]) for each in of_model(model))

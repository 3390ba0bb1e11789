"""Whether a cloud takes a key: asked once, only after a yes, and free of charge where the cloud has a way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from signalbox.backends.cloud import CloudKind
from signalbox.init.question import WrongAnswerError
from signalbox.pins import PinError, Web
from signalbox.secrets import Secret


class KeyRefusedError(Exception):
    """The cloud does not take this key, or its account is another than was meant."""


class NoDeploymentError(Exception):
    """The cloud, which lists no models, has none of this name."""

    def __init__(self, why: str, model: str) -> None:
        super().__init__(why)
        self.model = model


def check(kind: CloudKind, url: str, key: Secret, models: list[str], web: Web) -> None:
    """Ask the cloud with this key.

    Args:
        url: without /v1. models: what the cloud must have, as it calls them.

    Raises:
        KeyRefusedError: it does not take the key, or the key's account lacks a model.
        NoDeploymentError: it does not have a model by that name.
        WrongAnswerError: it cannot tell.
    """
    headers = kind.headers(key.reveal())
    try:
        if kind.model_list is None:
            for model in dict.fromkeys(models):  # the cheapest question that there is
                question = {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}
                status = web.post(f"{url}/v1/messages", headers, question).status_code
                if status == 404:
                    raise NoDeploymentError(f"{url} has no deployment {model}; write its exact name", model)
                _judged(url, status)
            return
        answer = web.get(f"{url}{kind.model_list}", headers)
    except PinError as error:
        raise WrongAnswerError(str(error).replace("the address in mirrors", "the address")) from None
    _judged(url, answer.status_code)
    offered = _offered(_json(answer))
    if lacking := [model for model in models if model not in offered]:
        raise KeyRefusedError(f"the account of this key has no {', '.join(lacking)}; take another account's key")


def _judged(url: str, status: int) -> None:
    if status in (401, 403):
        raise KeyRefusedError(f"{url} does not take this key (HTTP {status}); copy it again from its console")
    if status != 200:
        raise WrongAnswerError(f"{url} answers HTTP {status}; try again later, or answer no")


def _offered(said: Any) -> list[str]:
    entries = said.get("data", []) if isinstance(said, Mapping) else []
    found = []
    for entry in entries:
        found += [str(entry.get("id")), *map(str, entry.get("aliases") or [])]
    # The Claude API lists models with a date, and takes their names without.
    return [*found, *(name.rsplit("-", 1)[0] for name in found if name.rsplit("-", 1)[-1].isdigit())]


def _json(answer: Any) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None

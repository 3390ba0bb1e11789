"""The one shape that every kind of backend and cloud has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from signalbox.settings.records import Backend, Cloud, Model

Json = Any  # what json.loads returns
Params = dict[str, str]
RecordT_contra = TypeVar("RecordT_contra", Backend, Cloud, contravariant=True)


@dataclass(frozen=True)
class Loaded:
    """A model that a server has in memory, by its own account.

    context_length: in tokens, as loaded; None where the server does not tell.
    tools: whether it was trained for tool use; None where the server does not tell.
    """

    id: str
    context_length: int | None = None
    tools: bool | None = None


@dataclass(frozen=True)
class Probe:
    """How to see from a host, free of charge, whether a server answers and what it has loaded.

    url: what to GET. Any HTTP status means that it answers; 401 and 403 that it wants a credential.
    secret: name of the secret to send as `Authorization: Bearer …`; None: send none.
    read: what the JSON of a 200 answer tells; None where an answer is all there is to see. It raises
        KeyError, TypeError or AttributeError for JSON that is not the server's.
    """

    url: str
    secret: str | None = None
    read: Callable[[Json], list[Loaded]] | None = None


class Kind(Protocol[RecordT_contra]):
    """One kind of server: what each module of this package offers."""

    def litellm_params(self, record: RecordT_contra, model: Model, /) -> Params:
        """Return LiteLLM's `litellm_params`: prefix and id, `api_base`, and the key as os.environ/NAME."""

    def probe(self, record: RecordT_contra, /) -> Probe:
        """Return how to see whether the server answers."""

    def native_anthropic(self, record: RecordT_contra, /) -> str | None:
        """Return the base URL (without /v1) of the server's own Anthropic endpoint; None if it has none."""


def key(secret: str | None) -> Params:
    """Return the entry that makes LiteLLM read its key from the variable `secret`; nothing for None."""
    return {"api_key": f"os.environ/{secret}"} if secret else {}

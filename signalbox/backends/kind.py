"""What every kind of backend and cloud offers, and the plain data in which it tells it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from signalbox.backends.records import Backend, Cloud, Model

Params = dict[str, Any]
REFERENCE = "os.environ/"  # before a secret's name: LiteLLM reads the variable
RecordT_contra = TypeVar("RecordT_contra", Backend, Cloud, contravariant=True)


@dataclass(frozen=True)
class Probe:
    """How to see from a host, free of charge, whether a server answers.

    url: what to GET. Any HTTP status means that it answers; 401 and 403 that it wants a credential.
    secret: name of the secret to send as `Authorization: Bearer …`; None: send none.
    """

    url: str
    secret: str | None = None


@dataclass(frozen=True)
class Reading:
    """Where in a server's own words stands how much context a model is loaded with; plain data, for any program.

    url, secret: as of a Probe. models: dotted path to the list of models in the JSON; None: the answer is about the
    one model that the server has. names: paths in such an entry, of which one leads to `model`. context: dotted path
    in the entry (or the answer) to the tokens; a number in a path counts in a list. What is not there is not loaded.
    cure: how that server is told to load the model with `{context}` tokens, for people. on_demand: whether each
    request of the gateway brings its context, so that what is loaded now need not last; such a server cuts a longer
    prompt, and says nothing. any_name: whether the only model of a list is meant, whatever it is called.
    """

    url: str
    secret: str | None
    model: str
    models: str | None
    names: tuple[str, ...]
    context: str
    cure: str
    on_demand: bool = False
    any_name: bool = False


@dataclass(frozen=True)
class Sight:
    """Where a server tells whether a model sees images, and whether it takes tools; plain data.

    url: what to GET, or where to POST `body`. models, names: as of a Reading, for the model's entry in the answer.
    vision: dotted path to true or false, or to a list in which "vision" stands where it does. in_results: whether its
    own Anthropic endpoint takes images as a tool's result too, such as those that Claude Code reads. tools: a path as
    vision's, where the word is "tools"; None: it does not tell.
    """

    url: str
    vision: str
    body: dict[str, str] | None = None
    models: str | None = None
    names: tuple[str, ...] = ()
    in_results: bool = True
    tools: str | None = None


@dataclass(frozen=True)
class Listing:
    """Where a server lists the models that it has; plain data.

    url: what to GET. models: member of the JSON that is the list. name: member of an entry, what the server calls it.
    telling: whether such a list is this kind's alone, so that whoever answers with one is of this kind.
    unfit: members that mark what does not chat, such as a model for embeddings.
    """

    url: str
    models: str
    name: str
    telling: bool = False
    unfit: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Identity:
    """What a server tells of itself: its version, and how a model is quantised; "" where it does not tell."""

    version: str = ""
    quantisation: str = ""


@dataclass(frozen=True)
class Asked:
    """What `signalbox init` asks a person about an account; its option is `--<name of the record>-<id>`.

    words, example, default, more: as people see them. value: the kind of values that an answer must be, of fields/ or
    with checks of its own. standard: whether the word `standard` is an answer, too.
    """

    id: str
    words: str
    example: str
    more: str
    default: str = ""
    value: Any = str
    standard: bool = False


Ask = Callable[..., Any]
"""GET a path of the server, or POST `body` to it; returns the JSON, {} where there is none."""


class Kind(Protocol[RecordT_contra]):
    """One kind of server, which every enabled record is of."""

    def problems(self, record: RecordT_contra, /) -> Iterator[tuple[str, str]]:
        """Yield a setting of the record and what is wrong with it, as this kind needs it."""

    def litellm_params(self, record: RecordT_contra, model: Model, /) -> Params:
        """Return LiteLLM's `litellm_params`: prefix and id, `api_base`, and the key as os.environ/NAME."""

    def probe(self, record: RecordT_contra, /) -> Probe:
        """Return how to see whether the server answers."""

    def native_anthropic(self, record: RecordT_contra, /) -> str | None:
        """Return the base URL (without /v1) of the server's own Anthropic endpoint; None if it has none."""


def key(secret: str | None) -> Params:
    """Return the entry that makes LiteLLM read its key from the variable `secret`; nothing for None."""
    return {"api_key": f"{REFERENCE}{secret}"} if secret else {}

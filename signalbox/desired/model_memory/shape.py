"""What of a model's make decides over its memory: plain data, whatever file it was read from."""

from __future__ import annotations

from dataclasses import dataclass


class UnknownError(ValueError):
    """How much such a model keeps for each token is not known here; its words are for people."""


@dataclass(frozen=True)
class Layer:
    """A layer that attends to earlier tokens.

    keys, values: numbers that it keeps of each token; values: 0 where they are made of the keys again (MLA).
    window: of how many tokens it needs them, as a layer with a sliding window; None: of all.
    """

    keys: int
    values: int
    window: int | None = None


@dataclass(frozen=True)
class Shape:
    """A model: its architecture's name, and what it keeps while it works.

    layers: those that attend to tokens. state: numbers that its other layers keep of a whole conversation.
    trained: tokens of context that it was trained for; None where its file does not tell. blocks: all layers that hold
    weights. width, vocabulary, queries, inner: how many numbers it makes of a token while it works: between layers, at
    the end, to ask earlier tokens, and within a layer.
    """

    architecture: str
    layers: tuple[Layer, ...]
    state: int
    trained: int | None
    blocks: int
    width: int
    vocabulary: int
    queries: int
    inner: int

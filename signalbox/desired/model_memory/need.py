"""How much memory a model needs with so much context for so many at once, as llama.cpp lays it out."""

from __future__ import annotations

from dataclasses import dataclass

from signalbox.desired.model_memory.shape import Shape

# Bytes of 32 numbers: ggml's blocks.
KV_TYPES = {"f32": 128, "f16": 64, "bf16": 64, "q8_0": 34, "q5_1": 24, "q5_0": 22, "q4_1": 20, "q4_0": 18, "iq4_nl": 18}
MIB = 1 << 20
GIB = 1 << 30
MICRO_BATCH = 512  # llama-server's own: tokens that it reads at once
_CELLS = 256  # llama.cpp rounds contexts and windows up to these


@dataclass(frozen=True)
class Wish:
    """How a model shall be served: tokens of context for each of `parallel` conversations, kept as `kv_type`."""

    context: int
    parallel: int = 1
    kv_type: str = "f16"
    micro_batch: int = MICRO_BATCH


@dataclass(frozen=True)
class Need:
    """Bytes: of the weights, of what is kept of each token, of what layers with a state keep, and to work in."""

    weights: int
    tokens: int
    state: int
    work: int

    @property
    def total(self) -> int:
        """All of it, in bytes."""
        return self.weights + self.tokens + self.state + self.work


def need_of(shape: Shape, weights: int, wish: Wish) -> Need:
    """Return what a model with so many bytes of weights needs; `wish.kv_type` is one of KV_TYPES."""
    return Need(weights, _tokens(shape, wish), 4 * shape.state * wish.parallel, _work(shape, wish))


def _tokens(shape: Shape, wish: Wish) -> int:
    block = KV_TYPES[wish.kv_type]
    each = (
        _cells(layer.window, wish) * block * (-(-layer.keys // 32) - (-layer.values // 32)) for layer in shape.layers
    )
    return sum(each) * wish.parallel


def _work(shape: Shape, wish: Wish) -> int:
    """Of each micro batch: which token sees which, and what a layer, or its end, makes of each at its widest.

    Never below what llama-server b11549 told, of four architectures; servers before that kept all outcomes at the end.
    """
    seen = 2 * sum(_cells(window, wish) for window in {layer.window for layer in shape.layers})
    made = 4 * max(3 * shape.queries + 4 * shape.inner + 4 * shape.width, shape.vocabulary + 2 * shape.width)
    return wish.micro_batch * (seen + made) + wish.parallel * 4 * shape.vocabulary


def _cells(window: int | None, wish: Wish) -> int:
    """Of how many tokens a layer keeps something for one conversation."""
    context = _rounded(wish.context)
    return context if window is None else _rounded(min(context, window + wish.micro_batch))


def _rounded(tokens: int) -> int:
    return -(-tokens // _CELLS) * _CELLS

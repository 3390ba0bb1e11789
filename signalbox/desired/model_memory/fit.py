"""Whether a box has the memory that a model needs, and what would fit in its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from signalbox.desired.model_memory.need import GIB, Need, Wish, need_of
from signalbox.desired.model_memory.shape import Shape
from signalbox.fields.numbers import CONTEXT_FLOOR

MARGIN = GIB  # bytes of each card that stay free: for its driver, and for what else is on it
_STEP = 1024  # tokens


@dataclass(frozen=True)
class Room:
    """Bytes that a model may have: of each card, and of the machine's own memory where no card is used."""

    cards: tuple[int, ...]
    memory: int

    @property
    def usable(self) -> int:
        """What is there for one model, in bytes."""
        if self.cards:
            return sum(max(card - MARGIN, 0) for card in self.cards)
        return max(self.memory - MARGIN, 0)

    @property
    def whose(self) -> str:
        """What it is of, for people."""
        if not self.cards:
            return "the machine's memory has"
        return "the card has" if len(self.cards) == 1 else f"the {len(self.cards)} cards have"


def misfit(shape: Shape, weights: int, wish: Wish, room: Room) -> str | None:
    """Return what is wrong and what would fit, for people; None where it fits.

    Args:
        shape: of the model.
        weights: bytes of its files.
        wish: as it shall be served.
        room: what the box has for it.
    """
    if shape.trained and wish.context > shape.trained:
        return (
            f"the model was trained for {shape.trained} tokens, so the server gives it no more; write context_length "
            f"{shape.trained} or less"
            if shape.trained >= CONTEXT_FLOOR
            else f"the model was trained for {shape.trained} tokens, and Claude Code needs {CONTEXT_FLOOR}; choose "
            "another model"
        )
    need = need_of(shape, weights, wish)
    if need.total <= room.usable:
        return None
    instead = "; or ".join(_instead(shape, weights, wish, room)) or "no setting of it fits; choose a smaller model"
    return f"it needs {told(need, wish)}, and {room.whose} {_gib(room.usable)} GiB for it; {instead}"


def told(need: Need, wish: Wish) -> str:
    """Return a need for people, in GiB: the whole, and its parts."""
    tokens = f"{wish.parallel} x {wish.context}" if wish.parallel > 1 else str(wish.context)
    parts = [f"{_gib(need.weights)} weights", f"{_gib(need.tokens + need.state)} for {tokens} tokens ({wish.kv_type})"]
    return f"{_gib(need.total)} GiB ({', '.join([*parts, f'{_gib(need.work)} to work in'])})"


def _instead(shape: Shape, weights: int, wish: Wish, room: Room) -> Iterator[str]:
    def fits(other: Wish) -> bool:
        return need_of(shape, weights, other).total <= room.usable

    if wish.parallel > 1 and (fewer := next((n for n in range(wish.parallel - 1, 0, -1)
                                             if fits(replace(wish, parallel=n))), 0)):  # fmt: skip
        yield f"write parallel {fewer}"
    smaller = replace(wish, kv_type="q8_0")
    if wish.kv_type in ("f16", "bf16", "f32") and fits(smaller):
        yield 'write kv_type "q8_0"'
    if context := _longest(shape, weights, wish, room):
        yield f"write context_length {context}"
    elif wish.kv_type != "q8_0" and not fits(smaller) and (context := _longest(shape, weights, smaller, room)):
        yield f'write context_length {context} with kv_type "q8_0"'
    if layers := _on_the_cards(shape, weights, wish, room):
        yield f"write gpu_layers {layers}, of {shape.blocks}: the rest runs on the processor, much slower"


def _longest(shape: Shape, weights: int, wish: Wish, room: Room) -> int | None:
    """The longest context that fits, in whole steps and not below what Claude Code needs."""
    low, high = CONTEXT_FLOOR // _STEP, wish.context // _STEP
    if high < low or need_of(shape, weights, replace(wish, context=low * _STEP)).total > room.usable:
        return None
    while low < high:
        middle = (low + high + 1) // 2
        if need_of(shape, weights, replace(wish, context=middle * _STEP)).total <= room.usable:
            low = middle
        else:
            high = middle - 1
    return low * _STEP


def _on_the_cards(shape: Shape, weights: int, wish: Wish, room: Room) -> int:
    """How many layers the cards have room for, where the machine's memory has it for the others; 0: none."""
    need = need_of(shape, weights, wish)
    each = -(-(need.weights + need.tokens + need.state) // (shape.blocks + 1))  # the last one is the vocabulary
    layers = min((room.usable - need.work) // each, shape.blocks)
    rest = (shape.blocks + 1 - layers) * each
    return max(layers, 0) if room.cards and rest <= room.memory - MARGIN else 0


def _gib(amount: int) -> str:
    return f"{amount / GIB:.1f}"

"""A model's shape, as the head of its GGUF file tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from signalbox.desired.model_memory import families
from signalbox.desired.model_memory.gguf import Head
from signalbox.desired.model_memory.shape import Layer, Shape, UnknownError

_LAYERS = 512  # llama.cpp's own limit
_MOST = 1 << 24  # of any one number that counts here


def shape_of(head: Head) -> Shape:
    """Return the shape of the model whose file has this head.

    Raises:
        UnknownError: its architecture is none that is known here, or its file lacks what that needs.
    """
    architecture = head.values.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise UnknownError("its file does not tell an architecture; it may be no model, such as a projector for images")
    if architecture not in families.KNOWN:
        raise UnknownError(f"how {architecture[:40]!r} keeps what it has read is not known here")
    return _Told(architecture, head).shape()


class _Told:
    """What a head tells of one architecture; each number within bounds."""

    def __init__(self, architecture: str, head: Head) -> None:
        self._name, self._head = architecture, head
        self._blocks = self.number("block_count", most=_LAYERS)
        self._first = self._blocks - self.number("nextn_predict_layers", 0, most=self._blocks - 1)

    def shape(self) -> Shape:
        recurrent = self._recurrent()
        keeps = range(min(self._first, self._keys_until()))
        both = self._name in families.BOTH
        widths = self.each("feed_forward_length", 0)
        empty = {at for at in keeps if self._name in families.BY_HEADS_AND_WIDTH and widths[at]}
        layers = [self._layer(at) for at in keeps if both or not {at} & (recurrent | empty)]
        return Shape(
            self._name,
            tuple(layer for layer in layers if layer.keys or layer.values),
            self._state() * (self._first if both else len(recurrent)),
            self.number("context_length", 0) or None,
            self._blocks,
            self.number("embedding_length"),
            self._vocabulary(),
            self._queries(),
            max(*widths, self._experts(), self.number("ssm.inner_size", 0)),
        )

    def number(self, key: str, default: int | None = None, *, most: int = _MOST) -> int:
        """A whole number of the architecture's. Raises UnknownError where it is none, or missing without a default."""
        return self._checked(key, self._value(key, default), most)

    def each(self, key: str, default: int | None = None) -> list[int]:
        """The number for each layer, of a file that has one for all or a list of them."""
        value = self._value(key, default)
        if not isinstance(value, tuple):
            return [self._checked(key, value, _MOST)] * self._blocks
        if len(value) < self._blocks:
            raise UnknownError(f"its {key} is a list of {len(value)}, for {self._blocks} layers")
        return [self._checked(key, each, _MOST) for each in value[: self._blocks]]

    def _value(self, key: str, default: Any = None) -> Any:
        return self._head.values.get(f"{self._name}.{key}", default)

    def _checked(self, key: str, value: object, most: int) -> int:
        if value is None:
            raise UnknownError(f"its file does not tell {self._name}.{key}")
        if not isinstance(value, int) or not 0 <= value <= most:
            raise UnknownError(f"its {key} is no number that a model could have")
        return int(value)

    def _layer(self, at: int) -> Layer:
        sliding = self._sliding()
        window = self._window() if sliding[at] else None
        suffix = "_swa" if window else ""
        heads = self.each("attention.head_count", 1)
        usual = self.number("embedding_length") // max(heads[0], 1)
        full = {what: self.number(f"attention.{what}_length", usual) for what in ("key", "value")}
        key, value = (self.number(f"attention.{what}_length{suffix}", full[what]) for what in ("key", "value"))
        grouped = self.each("attention.head_count_kv", None) if self._has("attention.head_count_kv") else heads
        shared = self._has("attention.key_length_mla") and self._has("attention.value_length_mla")
        return Layer(key * grouped[at], 0 if shared else value * grouped[at], window)

    def _has(self, key: str) -> bool:
        return f"{self._name}.{key}" in self._head.values

    def _sliding(self) -> Sequence[bool]:
        family = families.SLIDING.get(self._name)
        if family is None or not self._window():
            return [False] * self._blocks
        pattern = self._value("attention.sliding_window_pattern")
        if isinstance(pattern, tuple):
            return [at < len(pattern) and bool(pattern[at]) and at < self._first for at in range(self._blocks)]
        every = self.number("attention.sliding_window_pattern", family.every)
        if not every and not family.every:
            raise UnknownError("its file does not tell which layers have a sliding window")
        full = 0 if family.first_is_full else every - 1
        return [at < self._first and (not every or at % every != full) for at in range(self._blocks)]

    def _window(self) -> int | None:
        family = families.SLIDING.get(self._name)
        if family is None:
            return None
        key = "attention.sliding_window"
        if self._name == "exaone4":  # by its size, not by its file
            return self.number(key, family.window) if self._first == 64 else None
        told = self.number(key, 0)
        if family.fixed:
            off = not told if family.optional else self._has(key) and not told
            return None if off else family.window
        if not told and not family.optional and family.window is None:
            raise UnknownError(f"its file does not tell {self._name}.{key}")
        return (told or None) if family.optional else told or family.window

    def _keys_until(self) -> int:
        fixed = families.KEYS_UNTIL.get(self._name)
        return fixed or self._blocks - self.number("attention.shared_kv_layers", 0, most=self._blocks - 1)

    def _recurrent(self) -> set[int]:
        """Which layers keep a state in place of tokens."""
        within = range(self._first)
        if self._name in families.RECURRENT:
            return set(within)
        if self._name in families.BY_INTERVAL:
            listed = self._value("attention.recurrent_layers")
            if isinstance(listed, tuple):
                return {at for at in within if at < len(listed) and listed[at]}
            every = max(self.number("full_attention_interval", 4), 1)
            return {at for at in within if (at + 1) % every}
        if self._name not in families.BY_HEADS | families.BY_HEADS_AND_WIDTH:
            return set()
        heads, widths = self.each("attention.head_count_kv"), self.each("feed_forward_length", 0)
        also = self._name in families.BY_HEADS_AND_WIDTH
        return {at for at in within if not heads[at] and not (also and widths[at])}

    def _state(self) -> int:
        """How many numbers a layer with a state keeps, of 32 bits each."""
        heads = max(self.each("attention.head_count", 0))
        if short := self.number("shortconv.l_cache", 0):
            return self.number("embedding_length") * (short - 1)
        kernel = self.number("ssm.conv_kernel", 0)
        if head := self.number("kda.head_dim", 0):
            return 3 * (kernel - 1 if kernel else 3) * heads * head + head * head * heads
        inner, states = self.number("ssm.inner_size", 0), self.number("ssm.state_size", 0)
        return max(kernel - 1, 0) * (inner + 2 * self.number("ssm.group_count", 0) * states) + states * inner

    def _queries(self) -> int:
        """How many numbers the widest layer makes of a token to ask with, or for its state."""
        heads, width = self.each("attention.head_count", 0), self.number("embedding_length")
        key = self.number("attention.key_length", width // max(heads[0], 1))
        mixed = self.number("ssm.inner_size", 0) + 2 * self.number("ssm.group_count", 0) * self.number(
            "ssm.state_size", 0
        )
        return max(max(heads) * key, mixed)

    def _vocabulary(self) -> int:
        counts: Mapping[str, int] = self._head.counts
        return counts.get("tokenizer.ggml.tokens") or self.number("vocab_size", 0)

    def _experts(self) -> int:
        """What all experts that are asked at once make of a token."""
        used = max(self.each("expert_used_count", 0))
        return used * max(self.each("expert_feed_forward_length", 0)) + self.number(
            "expert_shared_feed_forward_length", 0
        )

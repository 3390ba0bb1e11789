"""A model's shape, as the config.json beside its safetensors tells it: what vLLM loads.

The families are those of transformers' own configurations. What is not known by its model_type is said to be unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from signalbox.desired.model_memory.shape import Layer, Shape, UnknownError
from signalbox.untrusted import json_of

MOST = 1 << 20  # bytes of a config.json
_LAYERS = 512
_LARGEST = 1 << 24
# By layer_types, or all layers alike.
_KNOWN = frozenset(
    {
        "apertus", "deepseek_v2", "deepseek_v3", "devstral", "ernie4_5", "ernie4_5_moe", "exaone4", "gemma2",
        "gemma3", "gemma3_text", "gemma4", "gemma4_text", "glm4", "glm4_moe", "glm4_moe_lite", "gpt_oss",
        "granite", "granitemoe", "hunyuan_v1_dense", "hunyuan_v1_moe", "kimi_k2", "llama", "minimax_m2",
        "ministral3", "mistral", "mistral3", "olmo2", "olmo3", "olmoe", "phi3", "qwen2", "qwen2_moe", "qwen3",
        "qwen3_5", "qwen3_5_moe", "qwen3_5_moe_text", "qwen3_5_text", "qwen3_moe", "qwen3_next", "seed_oss",
        "smollm3"
    }
)  # fmt: skip
_FULL, _SLIDING, _LINEAR = "full_attention", ("sliding_attention", "chunked_attention"), "linear_attention"


def shape_of(text: str | bytes) -> Shape:
    """Return the shape that a config.json tells.

    Raises:
        UnknownError: it is of no known family, or lacks what that needs.
        ValueError: it is no JSON object, or too large.
    """
    whole = json_of(text, max_bytes=MOST)
    if not isinstance(whole, dict):
        raise ValueError("no JSON object")
    inner = whole.get("text_config")
    config = {**{key: value for key, value in whole.items() if key != "text_config"}, **(
        inner if isinstance(inner, dict) else {})}  # fmt: skip
    kinds = [kind for kind in (config.get("model_type"), whole.get("model_type")) if isinstance(kind, str)]
    if not any(kind in _KNOWN for kind in kinds):
        raise UnknownError(f"how {(kinds or ['a model without a model_type'])[0][:40]!r} keeps what it has read is not "
                           "known here")  # fmt: skip
    return _Told(config, kinds[0]).shape()


class _Told:
    def __init__(self, config: Mapping[str, Any], kind: str) -> None:
        self._config, self._kind = config, kind
        self._count = self.number("num_hidden_layers", most=_LAYERS)
        if not self._count:
            raise UnknownError("its num_hidden_layers is no number that a model could have")

    def number(self, *keys: str, default: int | None = None, most: int = _LARGEST) -> int:
        """The first of these that is told. Raises UnknownError where none is, or it is no number."""
        value = next((self._config[key] for key in keys if self._config.get(key) is not None), default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise UnknownError(f"its {keys[0]} is missing, or no number that a model could have")
        return value

    def shape(self) -> Shape:
        kinds = self._kinds()
        keeps = self._count - self.number("num_kv_shared_layers", default=0, most=self._count)
        layers = tuple(self._layer(kind) for kind in kinds[:keeps] if kind != _LINEAR)
        heads = self.number("num_attention_heads")
        return Shape(
            self._kind,
            layers,
            kinds.count(_LINEAR) * self._state() if _LINEAR in kinds else 0,
            self.number("max_position_embeddings", default=0) or None,
            self._count,
            self.number("hidden_size"),
            self.number("vocab_size", default=0),
            heads * self._width(),
            max(self.number("intermediate_size", default=0), self._experts()),
        )

    def _kinds(self) -> list[str]:
        listed = self._config.get("layer_types")
        if isinstance(listed, list):
            known = all(kind in (_FULL, _LINEAR, *_SLIDING) for kind in listed)
            if not known or len(listed) != self._count:
                raise UnknownError("its layer_types are not those of its layers, or some are not known here")
            return listed
        if self._config.get("linear_num_value_heads") is not None:
            every = self.number("full_attention_interval", default=4) or 1
            return [_LINEAR if (at + 1) % every else _FULL for at in range(self._count)]
        pattern = self.number("sliding_window_pattern", default=0)
        if pattern and self._config.get("sliding_window"):
            return [_FULL if not (at + 1) % pattern else _SLIDING[0] for at in range(self._count)]
        return [_FULL] * self._count

    def _width(self) -> int:
        usual = self.number("hidden_size") // max(self.number("num_attention_heads"), 1)
        return self.number("head_dim", default=usual)

    def _layer(self, kind: str) -> Layer:
        if self._config.get("kv_lora_rank"):
            return Layer(self.number("kv_lora_rank") + self.number("qk_rope_head_dim"), 0)
        heads = self.number("num_key_value_heads", "num_attention_heads")
        width = self._width()
        if kind != _FULL:
            return Layer(heads * width, heads * width, self.number("sliding_window", "attention_chunk_size"))
        width = self.number("global_head_dim", default=width)
        heads = self.number("num_global_key_value_heads", default=heads)
        return Layer(heads * width, heads * width)

    def _state(self) -> int:
        values = self.number("linear_num_value_heads") * self.number("linear_value_head_dim")
        keys = self.number("linear_num_key_heads") * self.number("linear_key_head_dim")
        return (self.number("linear_conv_kernel_dim") - 1) * (values + 2 * keys) + values * self.number(
            "linear_key_head_dim"
        )

    def _experts(self) -> int:
        used = self.number("num_experts_per_tok", "top_k_experts", default=0)
        return used * self.number("moe_intermediate_size", "intermediate_size", default=0)

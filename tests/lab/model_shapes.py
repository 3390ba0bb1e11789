"""Writes models with the heads, windows and states of real ones, and few layers: `python model_shapes.py DIRECTORY`.

What a server keeps of each token depends on these alone, so its log tells of a small file what it would of the real
one. Their weights are zeros. It runs with the package `gguf` on its path, apart from the project's own environment.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WIDTH, HIDDEN, VOCABULARY = 512, 1024, 32_000


@dataclass(frozen=True)
class Model:
    """A model's architecture, its keys without that prefix, and its tensors by name; `*` stands for each layer."""

    architecture: str
    layers: int
    keys: Mapping[str, Any]
    tensors: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    by_layer: Mapping[int, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)


def attention(heads: int, grouped: int, width: int, *, gated: int = 1) -> dict[str, tuple[int, ...]]:
    """The tensors of a layer that attends, with norms of its queries and keys."""
    return {
        "attn_q.weight": (heads * width * gated, WIDTH),
        "attn_k.weight": (grouped * width, WIDTH),
        "attn_v.weight": (grouped * width, WIDTH),
        "attn_output.weight": (WIDTH, heads * width),
        "attn_q_norm.weight": (width,),
        "attn_k_norm.weight": (width,),
    }


def experts(count: int, width: int) -> dict[str, tuple[int, ...]]:
    """The tensors of a layer's experts."""
    return {
        "ffn_gate_inp.weight": (count, WIDTH),
        "ffn_gate_exps.weight": (count, width, WIDTH),
        "ffn_up_exps.weight": (count, width, WIDTH),
        "ffn_down_exps.weight": (count, WIDTH, width),
    }


NORMS = {"attn_norm.weight": (WIDTH,), "ffn_norm.weight": (WIDTH,)}
POST = {"post_attention_norm.weight": (WIDTH,), "post_ffw_norm.weight": (WIDTH,)}
FEED = {"ffn_gate.weight": (HIDDEN, WIDTH), "ffn_up.weight": (HIDDEN, WIDTH), "ffn_down.weight": (WIDTH, HIDDEN)}
# Qwen3.6-27B's linear attention: 48 heads of values and 16 of keys, of 128 each, with a convolution of 4.
_STATE, _GROUPS, _RANK = 128, 16, 48
_INNER = _STATE * _RANK
LINEAR = {
    "attn_qkv.weight": (2 * _STATE * _GROUPS + _INNER, WIDTH),
    "attn_gate.weight": (_INNER, WIDTH),
    "ssm_conv1d.weight": (2 * _STATE * _GROUPS + _INNER, 4),
    "ssm_dt.bias": (_RANK,),
    "ssm_a": (_RANK,),
    "ssm_beta.weight": (_RANK, WIDTH),
    "ssm_alpha.weight": (_RANK, WIDTH),
    "ssm_norm.weight": (_STATE,),
    "ssm_out.weight": (WIDTH, _INNER),
}
FULL_OF_QWEN = attention(24, 4, 256, gated=2)
MODELS = {
    # Qwen3-Coder-30B-A3B: 32 heads, 4 of keys and values, of 128
    "qwen3moe": Model(
        "qwen3moe",
        6,
        {"attention.head_count": 32, "attention.head_count_kv": 4, "attention.key_length": 128,
         "attention.value_length": 128, "expert_count": 4, "expert_used_count": 2, "expert_feed_forward_length": 256},
        {**NORMS, **attention(32, 4, 128), **experts(4, 256)},
    ),
    # Gemma 3 27B: 32 heads, 16 of keys and values, of 128; a window of 1024 in five of six layers
    "gemma3": Model(
        "gemma3",
        12,
        {"attention.head_count": 32, "attention.head_count_kv": 16, "attention.key_length": 128,
         "attention.value_length": 128, "attention.sliding_window": 1024},
        {**NORMS, **POST, **FEED, **attention(32, 16, 128)},
    ),
    # GLM-4.7-Flash: 20 heads with one low-rank key of 512 and 64 more
    "deepseek2": Model(
        "deepseek2",
        6,
        {"attention.head_count": 20, "attention.head_count_kv": 1, "attention.key_length": 576,
         "attention.value_length": 512, "attention.key_length_mla": 256, "attention.value_length_mla": 256,
         "attention.q_lora_rank": 768, "attention.kv_lora_rank": 512, "rope.dimension_count": 64,
         "leading_dense_block_count": 1, "expert_count": 4, "expert_used_count": 2, "expert_shared_count": 1,
         "expert_feed_forward_length": 256, "expert_weights_scale": 1.8, "expert_gating_func": 2},
        {**NORMS,
         "attn_q_a.weight": (768, WIDTH), "attn_q_a_norm.weight": (768,), "attn_q_b.weight": (20 * 256, 768),
         "attn_kv_a_mqa.weight": (576, WIDTH), "attn_kv_a_norm.weight": (512,),
         "attn_k_b.weight": (20, 512, 192), "attn_v_b.weight": (20, 256, 512),
         "attn_output.weight": (WIDTH, 20 * 256)},
        {0: FEED, **{at: {**experts(4, 256), "ffn_gate_shexp.weight": (256, WIDTH), "ffn_up_shexp.weight": (256, WIDTH),
                          "ffn_down_shexp.weight": (WIDTH, 256)} for at in range(1, 6)}},
    ),
    # Qwen3.6-27B: each fourth layer attends, with 24 heads, 4 of keys and values, of 256
    "qwen35": Model(
        "qwen35",
        8,
        {"attention.head_count": 24, "attention.head_count_kv": 4, "attention.key_length": 256,
         "attention.value_length": 256, "full_attention_interval": 4, "ssm.conv_kernel": 4, "ssm.inner_size": _INNER,
         "ssm.state_size": _STATE, "ssm.time_step_rank": _RANK, "ssm.group_count": _GROUPS,
         "rope.dimension_count": 64, "rope.dimension_sections": [11, 11, 10, 0]},
        {"attn_norm.weight": (WIDTH,), "post_attention_norm.weight": (WIDTH,), **FEED},
        {at: FULL_OF_QWEN if at % 4 == 3 else LINEAR for at in range(8)},
    ),
}  # fmt: skip


def write(model: Model, path: Path) -> None:
    """Write the model's file."""
    import gguf
    import numpy

    out = gguf.GGUFWriter(str(path), model.architecture)
    common = {"context_length": 262_144, "embedding_length": WIDTH, "feed_forward_length": HIDDEN,
              "block_count": model.layers, "attention.layer_norm_rms_epsilon": 1e-6}  # fmt: skip
    for key, value in {**common, **model.keys}.items():
        add = {int: out.add_uint32, float: out.add_float32, list: out.add_array}[type(value)]
        add(f"{model.architecture}.{key}", value)
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("gpt-2")
    out.add_token_list([f"t{at}" for at in range(VOCABULARY)])
    out.add_token_types([gguf.TokenType.NORMAL] * (VOCABULARY - 1) + [gguf.TokenType.CONTROL])
    out.add_token_merges(["t 0"])
    out.add_eos_token_id(VOCABULARY - 1)
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (VOCABULARY, WIDTH), "output_norm.weight": (WIDTH,)}
    for at in range(model.layers):
        shapes |= {f"blk.{at}.{name}": shape for name, shape in (model.tensors | model.by_layer.get(at, {})).items()}
    for name, shape in shapes.items():
        plain = len(shape) == 1 or "conv1d" in name
        out.add_tensor(name, numpy.zeros(shape, dtype=numpy.float32 if plain else numpy.float16))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    for _name, _model in MODELS.items():
        write(_model, Path(sys.argv[1]) / f"{_name}.gguf")

"""What a model needs of memory: against published figures, and the reader of heads against whatever bytes come."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from signalbox.desired.model_memory import from_config, from_gguf
from signalbox.desired.model_memory.fit import MARGIN, Room, misfit, told
from signalbox.desired.model_memory.gguf import MOST, TooShortError, head_of
from signalbox.desired.model_memory.need import GIB, KV_TYPES, MIB, Wish, need_of
from signalbox.desired.model_memory.shape import Layer, Shape, UnknownError
from tests.unit.gguf_bytes import head, of, pair, text

PUBLISHED = yaml.safe_load(Path(__file__).with_name("published_memory.yaml").read_text())
CODER = {"block_count": 48, "embedding_length": 2048, "attention.head_count": 32, "attention.head_count_kv": 4,
         "attention.key_length": 128, "attention.value_length": 128, "feed_forward_length": 5472,
         "expert_used_count": 8, "expert_feed_forward_length": 768}  # fmt: skip


def shape(architecture: str, keys: dict[str, Any], **more: Any) -> Shape:
    return from_gguf.shape_of(head_of(of(architecture, keys, **more)))


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row["model"])
def test_it_counts_what_others_have_measured(row: dict[str, Any]) -> None:
    need = need_of(shape(row["architecture"], row["file"]), 0, Wish(**row["wish"]))
    for what in ("tokens", "state"):
        if what in row:
            assert getattr(need, what) / MIB == pytest.approx(row[what], abs=0.01, rel=0.0005), row["source"]


def test_rows_are_of_ten_models_and_more() -> None:
    assert len({(row["architecture"], json.dumps(row["file"])) for row in PUBLISHED}) >= 10


@pytest.mark.parametrize(
    ("architecture", "change", "kept"),
    [
        # the window of a file without one: all tokens in all layers
        ("gemma3", {"attention.sliding_window": 0}, {None: 12}),
        ("gemma3", {"attention.sliding_window": 1024}, {1024: 10, None: 2}),
        ("gemma3", {"attention.sliding_window": 1024, "attention.sliding_window_pattern": 4}, {1024: 9, None: 3}),
        ("gemma2", {}, {4096: 6, None: 6}),
        ("laguna", {"attention.sliding_window": 512}, {512: 9, None: 3}),
        ("llama4", {}, {8192: 9, None: 3}),
        ("llama4", {"attention.sliding_window": 0}, {None: 12}),
        ("smallthinker", {"attention.sliding_window": 1}, {4096: 9, None: 3}),
        ("phi3", {"attention.sliding_window": 2047}, {None: 12}),
        ("exaone4", {"attention.sliding_window": 4096}, {None: 12}),  # the window is of the one with 64 layers
        ("glm4moe", {"nextn_predict_layers": 1}, {None: 11}),
        ("gemma4", {"attention.sliding_window": 512, "attention.sliding_window_pattern": [True, False] * 6,
                    "attention.shared_kv_layers": 4}, {512: 4, None: 4}),
        ("deci", {"attention.head_count_kv": [8, 0] * 6}, {None: 6}),
        ("granitehybrid", {"attention.head_count_kv": [0, 0, 0, 4] * 3, "ssm.inner_size": 64}, {None: 3}),
        ("nemotron_h", {"attention.head_count_kv": [0, 0, 4] * 4, "feed_forward_length": [0, 9, 0] * 4,
                        "ssm.inner_size": 64, "ssm.conv_kernel": 4}, {None: 4}),
        ("qwen3next", {"attention.recurrent_layers": [True, True, False] * 4}, {None: 4}),
        ("falcon-h1", {"ssm.inner_size": 64, "ssm.conv_kernel": 4}, {None: 12}),
        ("mamba2", {"ssm.inner_size": 64, "ssm.conv_kernel": 4}, {}),
    ],
)  # fmt: skip
def test_layers_are_told_apart(architecture: str, change: dict[str, Any], kept: dict[int | None, int]) -> None:
    keys = {"block_count": 12, "embedding_length": 512, "attention.head_count": 8, "feed_forward_length": 0}
    found = shape(architecture, {**keys, "attention.head_count_kv": 4, **change}).layers
    windows = [layer.window for layer in found]
    assert {window: windows.count(window) for window in windows} == kept


@pytest.mark.parametrize(
    ("architecture", "keys", "told_of"),
    [
        ("deepseek32", CODER, "'deepseek32'"),
        ("rwkv7", CODER, "'rwkv7'"),
        ("clip", {}, "'clip'"),
        ("qwen3moe", {"block_count": 48}, "qwen3moe.embedding_length"),
        ("qwen3moe", {**CODER, "block_count": 100_000}, "block_count"),
        ("qwen3moe", {**CODER, "attention.head_count_kv": [4, 4]}, "a list of 2, for 48 layers"),
        ("qwen3moe", {**CODER, "attention.key_length": 4_000_000_000}, "attention.key_length"),
        ("qwen3moe", {**CODER, "attention.head_count": "32"}, "attention.head_count"),
        ("gemma4", {**CODER, "attention.sliding_window": 512}, "which layers have a sliding window"),
        ("gpt-oss", CODER, "gpt-oss.attention.sliding_window"),
    ],
)
def test_what_is_unknown_is_said_to_be(architecture: str, keys: dict[str, Any], told_of: str) -> None:
    with pytest.raises(UnknownError, match=told_of):
        shape(architecture, keys)


def test_a_file_without_an_architecture_is_no_model() -> None:
    with pytest.raises(UnknownError, match="projector"):
        from_gguf.shape_of(head_of(head({"general.name": "x"})))


HEAD = of("qwen3moe", CODER)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<!DOCTYPE html>" + b" " * 64, "a page"),
        (b"PK\x03\x04" + b"\0" * 64, "no GGUF"),
        (b"version https://git-lfs.github.com/spec/v1\n" + b"x" * 64, "no GGUF"),
        (head({}, version=1), "version 1"),
        (head({}, order=">"), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), "more metadata"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1 << 62), "longer than"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 4, 1 << 62), "longer than"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 9, 1), "no list may"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQQ", 9, 8, 2, 1 << 50), "beyond"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<I", 99), "no known kind"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IB", 7, 2), "neither"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<If", 6, float("nan")), "is none"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + pair("k", 1) * 2, "twice"),
    ],
)  # fmt: skip
def test_what_is_no_head_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        head_of(data)
    assert not isinstance(caught.value, TooShortError)


def test_each_prefix_of_a_head_is_too_short_for_it() -> None:
    for length in range(4, len(HEAD)):
        with pytest.raises(TooShortError):
            head_of(HEAD[:length])
    assert head_of(HEAD + b"weights").values["qwen3moe.block_count"] == 48


def test_a_long_vocabulary_is_counted_and_not_kept() -> None:
    found = head_of(of("llama", {}, vocabulary=300_000))
    assert found.counts == {"tokenizer.ggml.tokens": 300_000}


@given(st.binary(max_size=400))
def test_of_any_bytes_a_value_error_alone_comes(data: bytes) -> None:
    _survives(b"GGUF\x03\0\0\0" + data)
    _survives(data)


@given(st.data())
def test_of_a_damaged_head_too(data: st.DataObject) -> None:
    damaged = bytearray(of("gemma3", {**CODER, "attention.sliding_window": 9, "attention.sliding_window_pattern": 3}))
    for at in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=6)):
        damaged[at] = data.draw(st.integers(0, 255))
    _survives(bytes(damaged))


def _survives(data: bytes) -> None:
    try:
        found = from_gguf.shape_of(head_of(data))
    except ValueError as error:
        said = str(error)
    else:
        said = told(need_of(found, 0, Wish(65536)), Wish(65536))
        assert len(found.layers) <= 512
    assert len(said) < 300


LEAVES = st.none() | st.booleans() | st.integers(-5, 70_000) | st.text(max_size=20) | st.floats(allow_nan=False)
CONFIG_KEYS = st.sampled_from(
    ["num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim", "sliding_window",
     "layer_types", "kv_lora_rank", "linear_num_value_heads", "text_config", "vocab_size"]
)  # fmt: skip


@given(st.dictionaries(CONFIG_KEYS, LEAVES | st.lists(LEAVES, max_size=3)))
def test_of_any_config_a_value_error_alone_comes(config: dict[str, Any]) -> None:
    try:
        found = from_config.shape_of(json.dumps({"model_type": "qwen3", **config}))
    except ValueError as error:
        said = str(error)
    else:
        said = told(need_of(found, 0, Wish(65536)), Wish(65536))
    assert len(said) < 300


# Of those models' own config.json, as far as it counts.
QWEN_36_27B = {"model_type": "qwen3_5", "text_config": {
    "model_type": "qwen3_5_text", "num_hidden_layers": 64, "hidden_size": 5120, "num_attention_heads": 24,
    "num_key_value_heads": 4, "head_dim": 256, "full_attention_interval": 4, "intermediate_size": 17408,
    "linear_num_value_heads": 48, "linear_num_key_heads": 16, "linear_key_head_dim": 128,
    "linear_value_head_dim": 128, "linear_conv_kernel_dim": 4, "vocab_size": 248320}}  # fmt: skip
CONFIGS: list[tuple[dict[str, Any], float, float]] = [
    ({"model_type": "qwen3_moe", "num_hidden_layers": 48, "hidden_size": 2048, "num_attention_heads": 32,
      "num_key_value_heads": 4, "head_dim": 128}, 6144, 0),
    ({"model_type": "llama", "num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32,
      "num_key_value_heads": 8}, 8192, 0),
    ({"model_type": "deepseek_v3", "num_hidden_layers": 61, "hidden_size": 7168, "num_attention_heads": 128,
      "num_key_value_heads": 128, "kv_lora_rank": 512, "qk_rope_head_dim": 64}, 4392, 0),
    ({"model_type": "gpt_oss", "num_hidden_layers": 24, "hidden_size": 2880, "num_attention_heads": 64,
      "num_key_value_heads": 8, "head_dim": 64, "sliding_window": 128,
      "layer_types": ["sliding_attention", "full_attention"] * 12}, 1554, 0),
    ({"model_type": "gemma4_text", "num_hidden_layers": 30, "hidden_size": 2816, "num_attention_heads": 16,
      "num_key_value_heads": 8, "head_dim": 256, "global_head_dim": 512, "num_global_key_value_heads": 2,
      "sliding_window": 1024, "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 5}, 1580, 0),
    (QWEN_36_27B, 4096, 149.625),
]  # fmt: skip


@pytest.mark.parametrize(("config", "tokens", "state"), CONFIGS, ids=lambda value: str(value)[:30])
def test_it_counts_what_a_config_tells(config: dict[str, Any], tokens: float, state: float) -> None:
    need = need_of(from_config.shape_of(json.dumps(config)), 0, Wish(65536))
    assert (need.tokens / MIB, need.state / MIB) == (tokens, state)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("[]", "no JSON object"),
        ("{", "Expecting"),
        ('{"model_type": "mamba9"}', "'mamba9'"),
        ("{}", "without a model_type"),
        ('{"model_type": "qwen3", "num_hidden_layers": -1}', "num_hidden_layers"),
        ('{"model_type": "qwen3", "num_hidden_layers": 2, "layer_types": ["odd", "odd"]}', "layer_types"),
    ],
)
def test_a_config_that_tells_nothing_is_refused(config: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        from_config.shape_of(config)


MODEL = shape("qwen3moe", CODER, vocabulary=151_936)
WEIGHTS = int(17.3 * GIB)


def test_a_model_that_fits_is_passed_and_the_margin_counts_for_each_card() -> None:
    whole = need_of(MODEL, WEIGHTS, Wish(65536)).total
    assert misfit(MODEL, WEIGHTS, Wish(65536), Room((whole + MARGIN,), 0)) is None
    assert misfit(MODEL, WEIGHTS, Wish(65536), Room((whole + MARGIN - 1,), 0))
    assert misfit(MODEL, WEIGHTS, Wish(65536), Room((whole // 2 + MARGIN, whole // 2 + MARGIN + 1), 0)) is None
    assert misfit(MODEL, WEIGHTS, Wish(65536), Room((), whole + MARGIN)) is None


@pytest.mark.parametrize(
    ("wish", "room", "said"),
    [
        (Wish(65536), Room((24 * GIB,), 0), 'write kv_type "q8_0"'),
        (Wish(65536), Room((24 * GIB,), 0), "write context_length 58"),
        (Wish(65536, 2), Room((25 * GIB,), 0), "write parallel 1"),
        (Wish(262_144), Room((24 * GIB,), 0), "write context_length 58"),
        (Wish(65536), Room((21 * GIB,), 0), 'with kv_type "q8_0"'),
        (Wish(65536), Room((12 * GIB,), 64 * GIB), "of 48: the rest runs on the processor"),
        (Wish(65536), Room((12 * GIB,), 4 * GIB), "choose a smaller model"),
        (Wish(65536), Room((), 16 * GIB), "the machine's memory has 15.0 GiB"),
        (Wish(65536), Room((8 * GIB, 8 * GIB), 0), "the 2 cards have 14.0 GiB"),
        (Wish(300_000), Room((80 * GIB,), 0), "write context_length 262144 or less"),
    ],
)
def test_what_would_fit_instead_is_told(wish: Wish, room: Room, said: str) -> None:
    assert said in (misfit(MODEL, WEIGHTS, wish, room) or "")


def test_a_context_that_is_told_fits_and_a_step_more_does_not() -> None:
    room = Room((24 * GIB,), 0)
    words = misfit(MODEL, WEIGHTS, Wish(262_144), room) or ""
    context = int(words.rsplit("context_length ", 1)[1].split()[0].rstrip(";"))
    assert misfit(MODEL, WEIGHTS, Wish(context), room) is None
    assert misfit(MODEL, WEIGHTS, Wish(context + 1024), room)


def test_a_model_that_was_trained_for_too_little_is_another_case() -> None:
    small = replace(MODEL, trained=8192)
    assert "choose another model" in (misfit(small, WEIGHTS, Wish(32768), Room((80 * GIB,), 0)) or "")


def test_a_need_is_told_in_its_parts() -> None:
    words = told(need_of(MODEL, WEIGHTS, Wish(65536, 2)), Wish(65536, 2))
    assert words == "29.7 GiB (17.3 weights, 12.0 for 2 x 65536 tokens (f16), 0.4 to work in)"


@given(st.sampled_from(sorted(KV_TYPES)), st.integers(1, 1 << 20), st.integers(1, 64))
def test_more_of_anything_never_needs_less(kv_type: str, context: int, parallel: int) -> None:
    other = Shape("x", (Layer(512, 512), Layer(512, 0, 1024)), 1000, None, 2, 512, 9, 512, 512)
    need = need_of(other, 5, Wish(context, parallel, kv_type))
    assert need_of(other, 5, Wish(context + 1, parallel, kv_type)).total >= need.total
    assert need_of(other, 5, Wish(context, parallel + 1, kv_type)).total > need.total


def test_the_longest_head_is_bounded() -> None:
    with pytest.raises(ValueError, match="64 MiB"):
        head_of(b"GGUF" + bytes(MOST))

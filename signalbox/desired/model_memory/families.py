"""How the architectures that llama.cpp loads keep what they have read, as its sources tell.

Read in b11434: src/models/*.cpp (load_arch_hparams), src/llama-hparams.cpp, create_memory of src/llama-model.cpp. Not
in here, though it loads them: what keeps an index beside its keys (deepseek32, deepseek4, glm-dsa, glm5-next,
minimax-m3, hy_v4, dots3note, qwen4exp), and rwkv. They are unknown, and said to be.
"""

from __future__ import annotations

from dataclasses import dataclass

# All layers alike, with a few key and value heads each; where a file says that they share one low-rank key, MLA.
PLAIN = frozenset(
    {
        "apertus", "arcee", "bailingmoe", "bailingmoe2", "chatglm", "command-r", "dbrx", "deci", "deepseek",
        "deepseek2", "dots1", "ernie4_5", "ernie4_5-moe", "exaone", "falcon", "gemma", "glm4", "glm4moe",
        "granite", "granitemoe", "grok", "grovemoe", "hunyuan-dense", "hunyuan-moe", "hunyuan_vl", "internlm2",
        "llama", "maincoder", "minicpm", "minimax-m2", "mistral3", "mistral4", "nemotron", "olmo", "olmoe",
        "pangu-embedded", "phi2", "phi3", "phimoe", "qwen", "qwen2", "qwen2moe", "qwen2vl", "qwen3", "qwen3moe",
        "qwen3vl", "qwen3vlmoe", "seed_oss", "smollm3", "stablelm", "starcoder2", "xverse"
    }
)  # fmt: skip
# phi3's window llama.cpp reads and does not use.


@dataclass(frozen=True)
class Sliding:
    """Sliding windows where the file has no list of them: all but each `every`th layer, the last of each or the first.

    window: where the file does not say. fixed: the window counts whatever the file says. optional: a file without one
    has no such layers.
    """

    every: int
    window: int | None = None
    first_is_full: bool = False
    fixed: bool = False
    optional: bool = False


SLIDING = {
    "afmoe": Sliding(4, optional=True),
    "cohere2": Sliding(4),
    "cohere2moe": Sliding(4, first_is_full=True),
    "exaone4": Sliding(4, window=4096, optional=True),
    "exaone-moe": Sliding(4, window=128),
    "gemma2": Sliding(2, window=4096),
    "gemma3": Sliding(6, optional=True),
    "gemma3n": Sliding(5),
    "gemma4": Sliding(0),  # always a list
    "gpt-oss": Sliding(2),
    "granite_swa": Sliding(0),
    "laguna": Sliding(4, first_is_full=True, optional=True),
    "llama4": Sliding(4, window=8192, fixed=True),
    "mellum": Sliding(4, optional=True),
    "mimo2": Sliding(0),
    "muse-glimmer": Sliding(4),
    "olmo2": Sliding(4, optional=True),
    "plamo3": Sliding(8, optional=True),
    "smallthinker": Sliding(4, window=4096, first_is_full=True, fixed=True, optional=True),
    "spark2_5": Sliding(0),
    "step35": Sliding(0),
}
# Layers after these have the keys of an earlier one.
KEYS_UNTIL = {"gemma3n": 20}

# Some layers keep a state of fixed size in place of tokens: where every `full_attention_interval`th is another, ...
BY_INTERVAL = frozenset({"qwen3next", "qwen35", "qwen35moe"})
# ... where those have no key heads, ...
BY_HEADS = frozenset({"granitehybrid", "jamba", "kimi-linear", "lfm2", "lfm2moe", "plamo2"})
# ... nor a feed-forward part, for layers with that alone keep nothing; or where each layer does both, or is one.
BY_HEADS_AND_WIDTH = frozenset({"nemotron_h", "nemotron_h_moe"})
BOTH = frozenset({"falcon-h1"})
RECURRENT = frozenset({"mamba", "mamba2"})
KNOWN = PLAIN | set(SLIDING) | BY_INTERVAL | BY_HEADS | BY_HEADS_AND_WIDTH | BOTH | RECURRENT

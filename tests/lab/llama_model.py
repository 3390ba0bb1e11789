"""Writes a model of random weights that a real llama.cpp server loads: `python llama_model.py TEXT MODEL`.

Two layers, 64 dimensions, 4096 tokens of a byte-pair encoding learnt from TEXT, so that prompts have about as many
tokens as with a real model. All that it has learnt is TAUGHT: that answers are not empty, and how a tool call begins
and ends. It runs with the package `gguf` on its path, apart from the project's own environment.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

LAYERS, WIDTH, HEADS, HIDDEN, CONTEXT = 2, 64, 4, 128, 262_144
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
# One token each, as in Qwen's vocabulary, so that a server can be told to like them. With the line break that follows
# it as one token llama.cpp refuses all requests with tools ("should be marked as preserved token").
CALLS = ["<tool_call>", "</tool_call>"]
VOCABULARY = 4096
END, CALL, CALLED = VOCABULARY - 1, VOCABULARY - 5, VOCABULARY - 4  # CALLED: the call is over
NEWLINE, QUOTE, GREATER = 10, 34, 62  # a byte's token has its number
# After this token that one is so much likelier, as a logit. A prompt ends with a line break.
TAUGHT = ((NEWLINE, END, -15), (NEWLINE, CALL, 11), (CALL, NEWLINE, 14), (CALLED, END, 14), (GREATER, END, 14))


def byte_letters() -> list[str]:
    """GPT-2's letter for each byte: itself where it can be seen, else one from 256 on."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    shifted = iter(range(256, 512))
    return [chr(byte) if byte in seen else chr(next(shifted)) for byte in range(256)]


def learn(text: str, wanted: int) -> tuple[list[str], list[str]]:
    """Return `wanted` tokens of a byte-pair encoding, and its merges: the beginnings of the most frequent words."""
    letters = byte_letters()
    words = Counter("".join(letters[byte] for byte in word.encode()) for word in re.findall(r" ?\w+|\s+|\S", text))
    tokens, merges = dict.fromkeys(letters), list[str]()
    for word, _ in words.most_common():
        for end in range(1, len(word)):
            if len(tokens) < wanted and word[: end + 1] not in tokens:
                tokens[word[: end + 1]] = None
                merges.append(f"{word[:end]} {word[end]}")
    return list(tokens), merges


def write(text: str, path: Path) -> None:
    """Write the model; the same each time."""
    import gguf
    import numpy

    tokens, merges = learn(text, VOCABULARY - len(SPECIAL) - len(CALLS))
    random = numpy.random.default_rng(1)
    out = gguf.GGUFWriter(str(path), "llama")
    out.add_name("random")
    out.add_context_length(CONTEXT)
    out.add_embedding_length(WIDTH)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(HIDDEN)
    out.add_head_count(HEADS)
    out.add_head_count_kv(1)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(WIDTH // HEADS)
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("gpt-2")
    out.add_token_list([*tokens, *CALLS, *SPECIAL])
    kinds = ((gguf.TokenType.NORMAL, tokens), (gguf.TokenType.USER_DEFINED, CALLS), (gguf.TokenType.CONTROL, SPECIAL))
    out.add_token_types([kind for kind, of in kinds for _ in of])
    out.add_token_merges(merges)
    out.add_bos_token_id(VOCABULARY - 3)
    out.add_eos_token_id(END)
    out.add_pad_token_id(VOCABULARY - 3)
    out.add_add_bos_token(False)

    def tensor(name: str, *shape: int) -> None:
        out.add_tensor(name, weights(*shape))

    def weights(*shape: int) -> Any:
        return random.standard_normal(shape, dtype=numpy.float32) * 0.05

    # The layers add little to an embedding that is large, so the last token tells the next one.
    embedding, output = weights(VOCABULARY, WIDTH) * 20, weights(VOCABULARY, WIDTH)
    for before, after, logit in TAUGHT:
        output[after] += logit / WIDTH * embedding[before]
    out.add_tensor("token_embd.weight", embedding)
    out.add_tensor("output.weight", output)
    out.add_tensor("output_norm.weight", numpy.ones(WIDTH, dtype=numpy.float32))
    narrow = WIDTH // HEADS
    for layer in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            out.add_tensor(f"blk.{layer}.{name}.weight", numpy.ones(WIDTH, dtype=numpy.float32))
        tensor(f"blk.{layer}.attn_q.weight", WIDTH, WIDTH)
        tensor(f"blk.{layer}.attn_k.weight", narrow, WIDTH)
        tensor(f"blk.{layer}.attn_v.weight", narrow, WIDTH)
        tensor(f"blk.{layer}.attn_output.weight", WIDTH, WIDTH)
        tensor(f"blk.{layer}.ffn_gate.weight", HIDDEN, WIDTH)
        tensor(f"blk.{layer}.ffn_up.weight", HIDDEN, WIDTH)
        tensor(f"blk.{layer}.ffn_down.weight", WIDTH, HIDDEN)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    write(Path(sys.argv[1]).read_text(encoding="utf-8"), Path(sys.argv[2]))

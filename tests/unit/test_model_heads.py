"""The heads of models' files as a host reads them: the program that it runs, and what is made of its answer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.desired.model_memory import gguf
from signalbox.desired.model_memory.from_gguf import shape_of
from signalbox.facts import model_heads
from signalbox.facts.model_heads import ModelHead, ModelHeads
from tests.answers import answered
from tests.unit.gguf_bytes import of

KEYS = {"block_count": 12, "embedding_length": 512, "attention.head_count": 8, "attention.head_count_kv": 4,
        "attention.sliding_window": 1024, "attention.sliding_window_pattern": [True, False] * 6}  # fmt: skip


def read_by_the_host(data: bytes) -> str:
    """Run what the host runs, with a Python that has nothing else of ours."""
    program = f"{Path(gguf.__file__).read_text()}\n{model_heads._PROGRAM}"
    done = subprocess.run([sys.executable, "-I", "-c", program], input=data, capture_output=True, check=True)
    assert not done.stderr
    return done.stdout.decode()


def test_what_the_host_reads_is_what_its_file_says() -> None:
    data = of("gemma4", KEYS, vocabulary=3000) + b"weights" * 9
    told = ModelHeads().process(answered("head", "/m/x.gguf", "123", read_by_the_host(data)))["/m/x.gguf"]
    assert told.size == 123
    assert told.head is not None
    assert shape_of(told.head) == shape_of(gguf.head_of(data))


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", "whole head"), (b"<html>", "a page"), (b"PK\3\4 zip", "no GGUF"), (of("llama", KEYS)[:300], "whole head")],
)
def test_what_is_no_head_is_told_as_that(data: bytes, said: str) -> None:
    told = ModelHeads().process(answered("head", "u", "", read_by_the_host(data)))["u"]
    assert (told.size, told.head) == (0, None)
    assert said in told.problem


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "7", '{"tensors": 1}', '{"tensors": "x", "values": {}, "counts": {}}',
     '{"tensors": 1, "values": [], "counts": {}}', '{"tensors": 1, "values": {}, "counts": {"a": []}}'],
)  # fmt: skip
def test_an_answer_that_is_none_is_told_as_that(text: str) -> None:
    assert ModelHeads().process(answered("head", "u", "9", text))["u"] == ModelHead(
        9, None, "the host did not tell what stands in its head"
    )


@given(st.dictionaries(st.sampled_from(["tensors", "values", "counts", "problem"]), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9), lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6)), st.text(max_size=20))  # fmt: skip
def test_whatever_a_host_says_is_an_answer(told: dict[str, object], size: str) -> None:
    found = ModelHeads().process(answered("head", "u", size.replace("\0", ""), json.dumps(told)))
    assert set(found) == {"u"}
    assert len(found["u"].problem) <= 200

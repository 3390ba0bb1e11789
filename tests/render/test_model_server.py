"""The model server's unit, whole: on a processor, on NVIDIA's cards with a key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from signalbox.desired.model_server import UNIT, model_files, unit_values
from signalbox.desired.render import render
from signalbox.settings import Settings
from tests.good_settings import layers

MODEL = {"source": f"hf:unsloth/Qwen3-Coder-GGUF@{'a' * 40}/Qwen3-Coder-Q4_K_M.gguf", "sha256": "b" * 64}
PIN = {"sha256": {"cpu_amd64": "d" * 64, "cuda_amd64": "e" * 64}}


@pytest.mark.parametrize(
    ("variant", "server"),
    [
        ("cpu", {"models": {"local": MODEL}, "threads": 8}),
        ("cuda", {"models": {"local": {**MODEL, "parallel": 2, "kv_type": "q8_0"}}, "api_key": "LLAMA_KEY"}),
    ],
)
def test_the_unit_is_the_golden_one(variant: str, server: dict[str, Any], golden: Callable[[str, str], None]) -> None:
    of = Settings.from_layers(layers({"model_server": {"enabled": True, "llama_cpp": PIN, **server}}), host="gpu1")
    (file,) = model_files(of.model_server, of.mirrors)
    values = unit_values(of.model_server, f"b11549-{variant}", "/x/llama-server", file, variant=variant)
    golden(f"model_server/{variant}.service", render(f"model_server/{UNIT}", **values))


def test_what_waits_for_the_model_is_the_golden_one(golden: Callable[[str, str], None]) -> None:
    golden("model_server/ready", render("model_server/ready"))

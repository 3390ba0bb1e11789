"""A model server in a plan: what is fetched, placed and started, and that its key goes over stdin alone."""

from __future__ import annotations

import subprocess
from functools import cache
from typing import Any

import pytest

from tests.plan.simulated import SECRETS, Deploy, deploy

MODEL = {"source": "https://mirror.lan/small.gguf", "sha256": "b" * 64}
PIN = {"sha256": {"cpu_amd64": "d" * 64}}
SERVER: dict[str, Any] = {"enabled": True, "models": {"local": MODEL}, "llama_cpp": PIN}
KEY = "model-server-key-found-if-leaked"


@cache
def served() -> Deploy:
    data = {"model_server": {**SERVER, "api_key": "LLAMA_KEY"}}
    return deploy(data, secrets={**SECRETS, "LLAMA_KEY": KEY})


def test_a_host_without_a_model_server_has_nothing_of_it() -> None:
    usual = deploy()
    assert usual.of("Models") == usual.of("Model server") == usual.of("GPU") == []


def test_files_come_before_the_server_that_loads_them() -> None:
    names = served().names
    assert served().of("Models") == [
        "Models | /var/lib/models exists",
        "Models | small-bbbbbbbbbbbb.gguf is the model that is pinned",
    ]
    assert names.index(served().of("Models")[-1]) < names.index(served().of("Model server")[0])
    assert served().of("Model server")[-1] == (
        "Model server | signalbox-llama-server.service is enabled and serves local"
    )


def test_what_is_placed_is_wanted() -> None:
    wanted = [tuple(each) for each in served().wanted]
    for each in (
        ("model", "/var/lib/models/small-bbbbbbbbbbbb.gguf"),
        ("tool", "llama-cpp"),
        ("user", "llama"),
        ("unit", "signalbox-llama-server.service"),
        ("file", "/etc/signalbox/model-server/api-key"),
        ("package", "libgomp1"),
    ):
        assert each in wanted, each


def test_the_key_goes_over_stdin_alone() -> None:
    over = [each for each in served().sent if KEY in each["stdin"]]
    assert over
    assert not [each for each in served().sent if KEY in each["command"]]
    assert KEY not in served().stdout + served().stderr
    assert KEY not in repr(served().operations)


def test_a_build_without_a_checksum_stops_its_host() -> None:
    pin = {"sha256": {"vulkan_amd64": "d" * 64}}
    with pytest.raises(subprocess.CalledProcessError) as stopped:
        deploy({"model_server": {**SERVER, "llama_cpp": pin}})
    assert "model_server.llama_cpp.sha256.cpu_amd64 is not set" in stopped.value.stderr


def test_a_variant_that_its_cards_cannot_drive_stops_its_host() -> None:
    pin = {"sha256": {"cuda_amd64": "d" * 64}}
    with pytest.raises(subprocess.CalledProcessError) as stopped:
        deploy({"model_server": {**SERVER, "variant": "cuda", "llama_cpp": pin}})
    assert "there is no card of NVIDIA's" in stopped.value.stderr

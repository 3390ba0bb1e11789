"""Model hosts: what is refused in their settings, what a host's cards can drive, and what llama-server is told."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from signalbox.desired.cards import Card, Cards, missing, variant_for
from signalbox.desired.model_server import archive, arguments, model_files, quoted
from signalbox.facts.cards import CardsFound, ModelFiles
from signalbox.settings import Settings, SettingsError
from tests.answers import answered as answer
from tests.good_settings import GOOD, layers

MODEL = {"source": f"hf:unsloth/X-GGUF@{'a' * 40}/q/X-Q4_K_M.gguf", "sha256": "b" * 64}
PINNED = {**GOOD, "model_server": {"llama_cpp": {"sha256": {"cpu_amd64": "d" * 64, "cuda_amd64": "e" * 64}}}}
SERVER = {"models": {"local": MODEL}}


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ({"models": {}}, "model_server.models: no model is served"),
        ({"models": {"a": MODEL, "b": MODEL}}, "2 models are named, and one server serves one"),
        ({"models": {"a": {"sha256": "b" * 64}}}, "models.a.source: missing"),
        ({"models": {"a": {"source": MODEL["source"]}}}, "models.a.sha256: missing"),
        ({"models": {"a": {**MODEL, "source": "hf:unsloth/X@main/x.gguf"}}}, '"main" is no commit'),
        ({"models": {"a": {**MODEL, "source": "unsloth/X"}}}, "is no GGUF file"),
        ({"models": {"a": {**MODEL, "source": "ftp://x/y.gguf"}}}, "neither an address nor a path"),
        ({"models": {"a": {**MODEL, "source": "/srv/../etc/x.gguf"}}}, "leads upwards"),
        ({"models": {"a": {**MODEL, "source": "https://x/y-00001-of-00003.gguf"}}}, "one of several files"),
        ({"models": {"a": {**MODEL, "source": "https://x/y.gguf?download=true"}}}, "is no GGUF file"),
        ({"models": {"a": {**MODEL, "context_length": 8192}}}, "below the 32768"),
        ({"models": {"a": {**MODEL, "max_output_tokens": 60000}}}, "leaves too little"),
        ({"models": {"a": {**MODEL, "kv_type": "fp8"}}}, "models.a.kv_type"),
        ({"models": {"a": {**MODEL, "parallel": 0}}}, "out of range"),
        ({"models": {"claude-x": MODEL}}, "takes for a cloud model"),
        ({"models": "x"}, "model_server.models"),
        (
            {**SERVER, "flags": ["--ctx-size=9"]},
            '"--ctx-size" is decided elsewhere; write models.<name>.context_length',
        ),
        ({**SERVER, "flags": ["--tools", "all"]}, "use this host's shell"),
        ({**SERVER, "port": 22}, "22 is not a port"),
        ({**SERVER, "directory": "/home/x/models"}, "is not for models"),
        ({**SERVER, "kind": "ollama"}, "model_server.kind"),
        ({**SERVER, "variant": "vulkan"}, "no checksum of llama.cpp b11549 is known"),
        ({**SERVER, "address": "gpu lan"}, "is not a host name"),
        ({**SERVER, "api_key": "sk-ant-api03-abcdefghijklmnop"}, "looks like a secret itself"),
    ],
)
def test_what_is_wrong_is_told(server: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_layers(layers(PINNED, {"model_server": {"enabled": True, **server}}), host="gpu")
    assert said in str(caught.value)


NVIDIA = Cards(frozenset({"10de"}), frozenset({"/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm"}), "580.95.05",
               (Card("NVIDIA RTX 4090", "580.95.05", 24564),), memory=64000)  # fmt: skip


@pytest.mark.parametrize(
    ("found", "variant", "said"),
    [
        (Cards(), "cpu", ""),
        (NVIDIA, "cuda", ""),
        (Cards(NVIDIA.vendors), "cpu", "no driver that is loaded"),
        (Cards(NVIDIA.vendors, NVIDIA.nodes, "550.163.01"), "cpu", "wants 580"),
        (Cards(NVIDIA.vendors, NVIDIA.nodes | {"/dev/dri/renderD128"}, "550.163.01"), "vulkan", "wants 580"),
        (Cards(NVIDIA.vendors, frozenset({"/dev/nvidia0"}), "580.95.05"), "cpu", "/dev/nvidia-uvm is missing"),
        (Cards(NVIDIA.vendors, frozenset({"/dev/nvidia-uvm"}), "580.95.05"), "cpu", "/dev/nvidia0 is missing"),
        (Cards(NVIDIA.vendors, NVIDIA.nodes, "580.95.05", (Card("x", "585.1", 1),)), "cpu", "reboot"),
        (Cards(frozenset({"1002"}), frozenset({"/dev/kfd", "/dev/dri/renderD128"})), "rocm", ""),
        (Cards(frozenset({"1002"}), frozenset({"/dev/dri/renderD128"})), "vulkan", "no /dev/kfd"),
        (Cards(frozenset({"8086"}), frozenset({"/dev/dri/renderD128"})), "cpu", ""),  # a processor's own
        (Cards(frozenset({"1234"})), "cpu", ""),
    ],
)
def test_the_fastest_that_works_is_chosen_and_the_owners_step_is_told(found: Cards, variant: str, said: str) -> None:
    assert variant_for("auto", found) == variant
    fastest = "cuda" if "10de" in found.vendors else "rocm" if "1002" in found.vendors else "cpu"
    assert said in "; ".join(missing(fastest, found))
    assert bool(said) == bool(missing(fastest, found))


@pytest.mark.parametrize("variant", ["cuda", "rocm", "vulkan"])
def test_a_variant_that_is_named_and_cannot_be_is_refused(variant: str) -> None:
    assert variant_for(variant, Cards()) == variant
    assert missing(variant, Cards())


# As NVIDIA's programs print it, recorded by others: github.com/NVIDIA/open-gpu-kernel-modules/issues.
MODULE = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.163.01  Tue Apr  8 12:41:17 UTC 2025\nGCC version: 14\n"
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (dvs@x)  Tue Sep 23\n"
FAILED = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."


@pytest.mark.parametrize(
    ("module", "smi", "version", "cards"),
    [
        (MODULE, "Tesla T4, 550.163.01, 15360", "550.163.01", (Card("Tesla T4", "550.163.01", 15360),)),
        (OPEN, "A, 580.95.05, 1\nB, 580.95.05, 2", "580.95.05", (Card("A", "580.95.05", 1), Card("B", "580.95.05", 2))),
        ("", FAILED, "", ()),
        (MODULE, "Failed to initialize NVML: Driver/library version mismatch", "550.163.01", ()),
        ("\x1b]0;x\x07 NVRM version: nothing", "x, [N/A], [N/A]", "", ()),
    ],
)
def test_what_a_host_tells_of_its_cards(module: str, smi: str, version: str, cards: tuple[Card, ...]) -> None:
    told = CardsFound().process(
        answer(
            "pci", "10de", "pci", "x\n", "node", "/dev/nvidia0", "module", module, "smi", smi, "vulkan", "memory", "9"
        )
    )
    assert (told.vendors, told.module, told.cards) == (frozenset({"10de"}), version, cards)
    assert (told.vulkan, told.memory) == (True, 9)


def test_a_model_is_known_by_what_the_manifest_has_of_that_very_path() -> None:
    entry = '{"hash": "%s 5-1.5-7", "id": "/m/x.gguf", "kind": "model", "original": null}' % ("a" * 64)
    told = ModelFiles().process(answer("file", "/m/x.gguf", "5-1.5-7", entry, "file", "/m/y.gguf", "6-1.5-8", entry))
    assert told == {"/m/x.gguf": ("5-1.5-7", f"{'a' * 64} 5-1.5-7"), "/m/y.gguf": ("6-1.5-8", "")}


def server_of(**server: Any) -> Settings:
    data = {"model_server": {"enabled": True, **SERVER, **server}}
    return Settings.from_layers(layers(PINNED, data), host="gpu")


def test_the_command_line() -> None:
    model = {**MODEL, "parallel": 2, "kv_type": "q8_0", "aliases": ["coder"]}
    of = server_of(models={"local": model}, api_key="LLAMA_KEY", flags=["--n-cpu-moe", "20"])
    (served,) = of.model_server.models.values()
    words = arguments(of.model_server, served, "/m/x.gguf", cards=True)
    pairs = dict(pairwise(words))
    assert pairs["--ctx-size"] == "131072"  # for both together
    assert (pairs["--parallel"], pairs["--alias"], pairs["--gpu-layers"]) == ("2", "local,coder", "all")
    assert pairs["--cache-type-k"] == pairs["--cache-type-v"] == "q8_0"
    assert (pairs["--fit"], pairs["--api-key-file"], pairs["--n-cpu-moe"]) == ("off", "%d/api-key", "20")
    assert "--gpu-layers" not in arguments(of.model_server, served, "/m/x.gguf", cards=False)


def test_arguments_reach_the_server_as_they_are() -> None:
    assert quoted(["--x", "a b", "50%", "$HOME", 'say "hi"', "%d/api-key", ""]) == (
        r'--x "a b" 50%% $$HOME "say \"hi\"" %d/api-key ""'
    )


def test_where_things_come_from() -> None:
    of = server_of()
    (file,) = model_files(of.model_server, of.mirrors)
    assert file.url == f"https://huggingface.co/unsloth/X-GGUF/resolve/{'a' * 40}/q/X-Q4_K_M.gguf"
    assert file.path == "/var/lib/models/X-Q4_K_M-bbbbbbbbbbbb.gguf"
    cuda = archive(of.model_server.llama_cpp, of.mirrors, "cuda", "amd64")
    assert cuda.url.endswith("/releases/download/b11549/llama-b11549-bin-ubuntu-cuda-13.4-x64.tar.gz")
    assert cuda.sha256 == "e" * 64
    assert archive(of.model_server.llama_cpp, of.mirrors, "rocm", "arm64").sha256 is None
    own = server_of(models={"local": {**MODEL, "source": "/srv/x.gguf"}})
    assert model_files(own.model_server, own.mirrors)[0].url is None

"""The section `model_server`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import field_validator

from signalbox.backends.records import leaves_room
from signalbox.fields.checks import between, matching
from signalbox.fields.model_files import Build, ModelSource
from signalbox.fields.models import ModelName
from signalbox.fields.networks import NetworkName
from signalbox.fields.numbers import Context, Mebibytes, Port, Seconds, Tokens
from signalbox.fields.paths import AbsolutePath
from signalbox.fields.secrets import SecretName
from signalbox.fields.section import Section
from signalbox.fields.system import UserName
from signalbox.fields.urls import host_name
from signalbox.fields.versions import Sha256


class LlamaCppChecksums(Section):
    """A sha256 of each archive, by what it is built for and the architecture; None: not known."""

    cpu_amd64: Sha256 | None
    cpu_arm64: Sha256 | None
    vulkan_amd64: Sha256 | None
    vulkan_arm64: Sha256 | None
    rocm_amd64: Sha256 | None
    cuda_amd64: Sha256 | None
    cuda_arm64: Sha256 | None


ArchiveName = Annotated[
    str, matching(r"[\w.{}+-]+\.tar\.gz", "an archive's name", "one of .tar.gz, with {build} for the build")
]


class LlamaCppArchives(Section):
    """The archives' names, `{build}` in them."""

    cpu_amd64: ArchiveName
    cpu_arm64: ArchiveName
    vulkan_amd64: ArchiveName
    vulkan_arm64: ArchiveName
    rocm_amd64: ArchiveName
    cuda_amd64: ArchiveName
    cuda_arm64: ArchiveName


class LlamaCppPin(Section):
    """A build of llama.cpp."""

    version: Build
    archives: LlamaCppArchives
    sha256: LlamaCppChecksums


class ServedModel(Section):
    """A model's file, and how it is served: tokens of context for each of `parallel` conversations."""

    name: ModelName
    source: ModelSource | None
    sha256: Sha256 | None
    context_length: Context
    max_output_tokens: Tokens
    parallel: Annotated[int, between(1, 64, "conversations at once")]
    kv_type: Literal["f16", "bf16", "f32", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]
    gpu_layers: Annotated[int, between(0, 1024, "layers")] | None
    aliases: list[ModelName]

    _leaves_room = field_validator("max_output_tokens")(leaves_room)


class ModelServer(Section):
    """What a model host serves; `api_key` is a secret's name. clients: None: the agents' hosts of the inventory."""

    enabled: bool
    alone: bool
    kind: Literal["llama_cpp"]
    variant: Literal["auto", "cpu", "vulkan", "rocm", "cuda"]
    llama_cpp: LlamaCppPin
    address: Annotated[str, host_name] | None
    port: Port
    clients: list[NetworkName] | None
    api_key: SecretName | None
    user: UserName
    directory: AbsolutePath
    threads: Annotated[int, between(1, 1024, "threads")] | None
    prompt_cache_mib: Mebibytes
    start_timeout_seconds: Seconds
    flags: list[Annotated[str, matching(r"[^\0\n]+", "an argument", "one on one line")]]
    prune: bool
    models: dict[str, ServedModel]

"""From settings to what a model host runs: which archive, which files, and llama-server's arguments. Pure.

As llama.cpp b11434 documents them (tools/server/README.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from signalbox.fields.model_files import download
from signalbox.settings.sections.mirrors import Mirrors
from signalbox.settings.sections.model_server import LlamaCppPin, ModelServer, ServedModel

UNIT = "signalbox-llama-server.service"
KEY = "/etc/signalbox/model-server/api-key"
READY = "/usr/local/lib/signalbox/model-server-ready"
# What its archives need, and a bare Debian lacks; more where a card is driven by Vulkan.
PACKAGES = ("libgomp1",)
VULKAN = ("libvulkan1", "mesa-vulkan-drivers")


@dataclass(frozen=True)
class Archive:
    """A release archive: the key of its pin, its address, and its sha256 (None: not known)."""

    key: str
    url: str
    sha256: str | None


@dataclass(frozen=True)
class ModelFile:
    """A model's file on the host; url: where it is fetched from, None: its owner has put it there."""

    path: str
    url: str | None
    sha256: str


def archive(pin: LlamaCppPin, mirrors: Mirrors, variant: str, architecture: str) -> Archive:
    """Return the archive of a variant (cpu, vulkan, rocm or cuda) for Debian's `architecture`."""
    key = f"{variant}_{architecture}"
    names: dict[str, str] = pin.archives.model_dump()
    name = names.get(key, "").replace("{build}", pin.version)
    known: dict[str, str | None] = pin.sha256.model_dump()
    return Archive(key, f"{mirrors.llama_cpp}/{pin.version}/{name}", known.get(key) if name else None)


def model_file(settings: ModelServer, model: ServedModel, mirrors: Mirrors) -> ModelFile:
    """Return where a model's file lies, and where it comes from."""
    source, sha256 = str(model.source), str(model.sha256)
    url = download(source, mirrors.huggingface)
    if url is None:
        return ModelFile(source, None, sha256)
    # By its checksum: another version of a file is another file, and lies beside it until nobody wants it.
    stem = source.rsplit("/", 1)[1].removesuffix(".gguf")
    return ModelFile(f"{settings.directory}/{stem}-{sha256[:12]}.gguf", url, sha256)


def model_files(settings: ModelServer, mirrors: Mirrors) -> tuple[ModelFile, ...]:
    """Return the files of all models that are served."""
    return tuple(model_file(settings, model, mirrors) for model in settings.models.values() if settings.enabled)


def arguments(settings: ModelServer, model: ServedModel, path: str, *, cards: bool) -> list[str]:
    """Return llama-server's arguments. `cards`: whether the host has any that the variant drives."""
    words = ["--model", path, "--alias", ",".join([model.name, *model.aliases])]
    words += ["--host", "0.0.0.0", "--port", str(settings.port)]  # noqa: S104 (the firewall says who comes in)
    # Each conversation has a cache of its own, so that -c, which is for all, is not shared out.
    words += ["--ctx-size", str(model.context_length * model.parallel), "--parallel", str(model.parallel)]
    words += ["--no-kv-unified", "--cache-type-k", model.kv_type, "--cache-type-v", model.kv_type]
    # What does not fit shall fail, and not shrink the context in silence.
    words += ["--fit", "off", "--cache-ram", str(settings.prompt_cache_mib)]
    if cards:
        words += ["--gpu-layers", "all" if model.gpu_layers is None else str(model.gpu_layers)]
    if settings.threads is not None:
        words += ["--threads", str(settings.threads)]
    words += ["--metrics", "--no-webui", "--cors-origins", "localhost"]
    if settings.api_key:
        words += ["--api-key-file", "%d/api-key"]
    return [*words, *settings.flags]


def unit_values(settings: ModelServer, version: str, program: str, file: ModelFile, *, variant: str) -> dict[str, Any]:
    """Return what the unit's template is rendered with. `program`: path of llama-server; `version`: for people."""
    ((_, model),) = settings.models.items()
    cards = variant != "cpu"
    path = f"/etc/systemd/system/{UNIT}"
    return {
        "version": version,
        "model": model.name,
        "port": settings.port,
        "user": settings.user,
        "groups": ["video", "render"] if cards else [],
        "key": KEY if settings.api_key else None,
        "inputs": [path, *([KEY] if settings.api_key else [])],
        "unit": UNIT,
        "modprobe": "/usr/bin/nvidia-modprobe" if variant == "cuda" else None,
        "program": program,
        "arguments": quoted(arguments(settings, model, file.path, cards=cards)),
        "ready": READY,
        "seconds": settings.start_timeout_seconds,
    }


def quoted(words: list[str]) -> str:
    """Return arguments as a unit's ExecStart= takes them; `%d` alone stays a specifier of systemd's."""
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    if word == "%d/api-key":
        return word
    safe = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return safe if safe and not any(each in safe for each in " \t'\";") else f'"{safe}"'

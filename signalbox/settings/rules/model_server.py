"""Rules of the model server: what it needs is there, and nothing that it is given opens it to others."""

from __future__ import annotations

from collections.abc import Iterator

from signalbox.fields.checks import PLACEHOLDER
from signalbox.fields.messages import show
from signalbox.settings.layers import Path
from signalbox.settings.models import taken_for_claude
from signalbox.settings.problems import Problem
from signalbox.settings.rules.rule import Raw, Rule
from signalbox.settings.sections import Sections

# Arguments that a setting decides, and that setting.
_DECIDED = {
    ("-m", "--model", "-hf", "-hfr", "--hf-repo", "-mu", "--model-url", "-dr", "--docker-repo"): "models.<name>.source",
    ("-a", "--alias"): "the model's name in models",
    ("--host",): "firewall and clients",
    ("--port",): "port",
    ("-c", "--ctx-size"): "models.<name>.context_length",
    ("-np", "--parallel", "-kvu", "--kv-unified"): "models.<name>.parallel",
    ("-ctk", "--cache-type-k", "-ctv", "--cache-type-v"): "models.<name>.kv_type",
    ("-ngl", "--gpu-layers", "--n-gpu-layers"): "models.<name>.gpu_layers",
    ("-t", "--threads"): "threads",
    ("-cram", "--cache-ram"): "prompt_cache_mib",
    ("--api-key", "--api-key-file"): "api_key, the name of a secret",
}
_INSTEAD = {argument: setting for arguments, setting in _DECIDED.items() for argument in arguments}
# With these whoever reaches the server gets a shell of its user, its files, or the network behind it.
_OPENS = (
    "--tools",
    "--agent",
    "--ui-mcp-proxy",
    "--mcp-servers-config",
    "--mcp-servers-json",
    "--media-path",
    "--path",
)


def served(settings: Sections, _: Raw) -> Iterator[Problem]:
    """An enabled server has a model, whole: its file, its checksum, a name of its own."""
    server = settings.model_server
    if not server.enabled:
        return
    at: Path = ("model_server", "models")
    if not server.models:
        yield Problem(at, 'no model is served; name one: {"coder": {"source": "hf:…", "sha256": "…"}}')
    if len(server.models) > 1:
        yield Problem(
            at, f"{len(server.models)} models are named, and one server serves one; leave one, or give each a host"
        )
    for name, model in server.models.items():
        if model.source is None:
            yield Problem((*at, name, "source"), 'missing; write "hf:owner/repository@<commit>/file.gguf", or a path')
        if model.sha256 is None:
            yield Problem((*at, name, "sha256"), "missing; the repository's page of the file shows it, as SHA256")
        for alias in (name, *model.aliases):
            if taken_for_claude(alias):
                yield Problem(
                    (*at, name), f'{show(alias)} is a name that Claude Code takes for a cloud model; write "local"'
                )


def pinned(settings: Sections, _: Raw) -> Iterator[Problem]:
    """What is downloaded has a checksum, for the variant that is wanted."""
    server, pin = settings.model_server, settings.model_server.llama_cpp
    if not server.enabled:
        return
    known = pin.sha256.model_dump()
    wanted = [key for key in known if server.variant == "auto" or key.startswith(f"{server.variant}_")]
    if not any(known[key] for key in wanted):
        keys = ", ".join(wanted)
        yield Problem(
            ("model_server", "llama_cpp", "sha256"),
            f"no checksum of llama.cpp {pin.version} is known; write that of the archive ({keys}), which the release's "
            "list of files tells as digest",
        )


def arguments(settings: Sections, _: Raw) -> Iterator[Problem]:
    """Further arguments decide nothing that a setting decides, and open nothing."""
    server = settings.model_server
    for index, flag in enumerate(server.flags):
        at: Path = ("model_server", "flags", index)
        name = flag.partition("=")[0]
        if name in _INSTEAD:
            yield Problem(at, f"{show(name)} is decided elsewhere; write {_INSTEAD[name]}")
        elif name in _OPENS:
            yield Problem(at, f"{show(name)} lets clients use this host's shell or files; take it out")
    if server.enabled and server.port in settings.firewall.ssh_ports:
        yield Problem(("model_server", "port"), f"{server.port} is sshd's; write another")
    if server.enabled and not PLACEHOLDER.search(server.directory) and server.directory.startswith(_NOT_THERE):
        yield Problem(
            ("model_server", "directory"), f'{show(server.directory)} is not for models; write "/var/lib/models"'
        )


_NOT_THERE = ("/proc", "/sys", "/dev", "/run", "/tmp", "/etc", "/home", "/root", "/boot", "/usr")  # noqa: S108

RULES: list[Rule] = [served, pinned, arguments]

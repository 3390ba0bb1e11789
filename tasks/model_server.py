"""Model server: llama.cpp's llama-server at its pin, with one model, behind the firewall and in a sandbox."""

from __future__ import annotations

from pyinfra import host

from signalbox.desired.model_server import KEY, PACKAGES, READY, UNIT, VULKAN, ModelFile, archive, unit_values
from signalbox.desired.render import render
from signalbox.engine.deploy import deploy
from signalbox.engine.outcome import fail
from signalbox.facts import Machine
from signalbox.operations import directories, file, packages, secret_file, tool, unit, user
from signalbox.operations.files import sha256
from signalbox.operations.tools import place
from signalbox.secrets import Secret
from signalbox.settings import Account
from signalbox.settings.account import NOLOGIN
from signalbox.settings.sections.mirrors import Mirrors
from signalbox.settings.sections.model_server import ModelServer

from .gpu import Gpu

IDENT = "llama-cpp"


@deploy("Model server")
def model_server(
    settings: ModelServer,
    mirrors: Mirrors,
    gpu: Gpu,
    account: Account,
    files: tuple[ModelFile, ...],
    key: Secret | None,
) -> None:
    """Serve the model of the settings. `files`: of its models. `key`: what clients must send."""
    if not settings.enabled:
        return
    architecture = host.get_fact(Machine).architecture or "amd64"
    build = archive(settings.llama_cpp, mirrors, gpu.variant, architecture)
    if build.sha256 is None:
        pin = f"model_server.llama_cpp.sha256.{build.key}"
        fail([f"{pin} is not set, which this host needs; write that archive's sha256"])
        return
    name, version = account.name, f"{settings.llama_cpp.version}-{gpu.variant}"
    packages(name="what llama.cpp needs is installed", wanted=[*PACKAGES, *(VULKAN if gpu.variant == "vulkan" else ())])
    user(name=f"user {name} exists", account=name, home=account.home, shell=NOLOGIN)
    tool(
        name=f"llama.cpp {version} is installed",
        ident=IDENT,
        version=version,
        archive=build.url,
        checksum=build.sha256,
        program="llama-server",
        account=name,
        home=account.home,
    )
    directories(name="the model server has its directories", paths=["/etc/signalbox", "/etc/signalbox/model-server"])
    if key:
        secret_file(
            name="the model server has its clients' key", path=KEY, value=key.reveal(), account="root", home="/root"
        )
    file(name="what waits for the model is in place", path=READY, content=render("model_server/ready"), mode="755")
    path = f"/etc/systemd/system/{UNIT}"
    program = f"{place(IDENT, version)}/llama-server"
    content = render(f"model_server/{UNIT}", **unit_values(settings, version, program, files[0], variant=gpu.variant))
    file(name=f"{UNIT} is in place", path=path, content=content)
    read = {path: sha256(content)} | ({KEY: sha256(f"{key.reveal()}\n")} if key else {})
    unit(name=f"{UNIT} is enabled and serves {', '.join(settings.models)}", unit=UNIT, inputs=read)

"""Rootless Docker: an engine of the user's own, up after a reboot, with root's engine off."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from pyinfra import host

from signalbox.desired.packages import BESIDE_DOCKER, DOCKER, ROOT_DOCKER
from signalbox.desired.render import render
from signalbox.engine.deploy import deploy
from signalbox.engine.outcome import fail
from signalbox.facts import FileText, Placed, UserCommand
from signalbox.facts.before import EngineState, RootEngine
from signalbox.facts.look import MAX_TEXT
from signalbox.fields.messages import show
from signalbox.host.shared.output import shown
from signalbox.operations import (
    directories,
    docker_repository,
    engine_known,
    file,
    kernel_modules,
    link,
    packages,
    service,
    units_stopped,
)
from signalbox.operations.containers import pull
from signalbox.operations.files import sha256
from signalbox.operations.placed import placed
from signalbox.operations.system import CA_BUNDLE
from signalbox.settings import Account
from signalbox.settings.sections.rootless_docker import RootlessDocker
from signalbox.shell import sh
from signalbox.untrusted import json_of

PROGRAMS = {
    "debian": "/usr/share/docker.io/contrib/dockerd-rootless.sh",
    "docker": "/usr/bin/dockerd-rootless.sh",
}
DAEMON = ".config/docker/daemon.json"
MODULES = ["nf_tables", "ip_tables", "tun", "fuse", "overlay"]


@deploy("Rootless Docker")
def rootless_docker(
    settings: RootlessDocker, accounts: tuple[Account, ...], repository: str, images: Mapping[str, str]
) -> None:
    """Have Docker run for each of `accounts`.

    + repository: base URL of upstream's, used for source = "docker".
    + images: by user what a later task will need: a Docker that was just started fetches it while others install.
    """
    if not settings.enabled:
        return
    # Before the packages: they would start root's engine, which nothing here uses.
    before = _before(settings)
    # Before the links, which hide what runs.
    units_stopped(
        name="root's Docker does not run",
        units=ROOT_DOCKER,
        running=before.running,
        containers=before.containers,
    )
    for unit in ROOT_DOCKER:
        link(name=f"root's {unit} is off", path=f"/etc/systemd/system/{unit}", target="/dev/null")
    if settings.source == "docker":
        packages(name="gpg is installed, for Docker's signing key", wanted=["gpg"])
        docker_repository(name=f"apt knows {repository}", url=repository)
    packages(name="Docker is installed", wanted=[*DOCKER[settings.source], *BESIDE_DOCKER])
    # An unprivileged engine cannot load modules itself.
    file(
        name="kernel modules are loaded at boot",
        path="/etc/modules-load.d/signalbox.conf",
        content="".join(f"{module}\n" for module in MODULES),
    )
    kernel_modules(name="kernel modules are loaded", names=MODULES)
    for account in accounts:
        _engine(settings, account, PROGRAMS[settings.source], images.get(account.name), more=account == accounts[0])


def _before(settings: RootlessDocker) -> EngineState:
    """Return what of root's engine runs on a host where it is not off yet; it is left without the settings' word."""
    if host.get_fact(Placed, path=f"/etc/systemd/system/{ROOT_DOCKER[0]}", kind="link").entry:
        return EngineState()
    before: EngineState = host.get_fact(RootEngine, units=ROOT_DOCKER)
    if before.containers and not settings.replaces_root:
        fail(
            [
                f"root's Docker would be stopped, and containers run in it: {', '.join(before.containers)}; nothing was"
                " changed. Move them away, or write rootless_docker.replaces_root = True: remove.py starts them again"
            ]
        )
    return before


def _engine(settings: RootlessDocker, account: Account, dockerd: str, needed: str | None, more: bool) -> None:
    user = account.name
    engine_known(name=f"{user}: what runs in a Docker of their own is known", account=user, home=account.home)
    directories(
        name=f"{user}: Docker has its directories",
        paths=[
            account.path(below) for below in (".config", ".config/docker", ".config/systemd", ".config/systemd/user")
        ],
        mode="700",
        user=user,
    )
    daemon = account.path(DAEMON)
    unit = account.path(".config/systemd/user/docker.service")
    wanted = _daemon(settings, settings.daemon if more else {})
    _no_key_lost(daemon, wanted)
    _nothing_out_of_view(account, unit, wanted, more)
    daemon_content = json.dumps(wanted, indent=2, sort_keys=True) + "\n"
    inputs = (unit, daemon, CA_BUNDLE)
    unit_content = render(
        "rootless_docker/docker.service", inputs=inputs, dockerd=dockerd, host_loopback=settings.host_loopback
    )
    file(name=f"{user}: Docker is configured", path=daemon, content=daemon_content, user=user)
    file(name=f"{user}: docker.service is in place", path=unit, content=unit_content, user=user)
    service(
        name=f"{user}: docker.service is enabled and runs what is on disk",
        unit="docker.service",
        account=user,
        home=account.home,
        # The CA bundle: dockerd reads it once, when it starts.
        inputs={unit: sha256(unit_content), daemon: sha256(daemon_content), CA_BUNDLE: None},
        meanwhile=sh("docker image inspect {} >/dev/null 2>&1 || {}", needed, pull(needed)) if needed else None,
    )


def _no_key_lost(path: str, wanted: Mapping[str, object]) -> None:
    """Stop where a person's own daemon.json says what the settings do not: `data-root` says where containers are."""
    now = placed(path, "file")
    if now.entry is not None or now.type is None:
        return
    lines = host.get_fact(FileText, path=path)
    try:
        there = json_of("\n".join(lines), max_bytes=MAX_TEXT)
        lost = {key: value for key, value in there.items() if wanted.get(key) != value}
    except (ValueError, AttributeError):
        fail([f"{path} is no daemon.json that can be read; mend it, or move it away"])
        return
    lost.pop("log-driver", None)  # how logs are written has no data
    if lost:
        words = shown(", ".join(f"{show(key)}: {show(value)}" for key, value in lost.items()))
        fail(
            [f"{path} has {words}, which the settings do not; write it in rootless_docker.daemon, or take it out there"]
        )


# What Docker goes on with where it finds something of it. It never takes vfs where it can have another, and one that
# has its images from containerd finds none without that: https://docs.docker.com/engine/storage/drivers/
DRIVERS = {"overlay2", "fuse-overlayfs", "btrfs", "zfs"}


def _nothing_out_of_view(account: Account, unit: str, wanted: Mapping[str, object], more: bool) -> None:
    """Stop where a Docker of the person's own has containers and images that ours would not find."""
    if "storage-driver" in wanted or placed(unit, "file").entry is not None:
        return
    root = str(wanted.get("data-root", account.path(".local/share/docker")))
    look = sh(
        "cd {} 2>/dev/null || exit 0; ls image; cat containers/*/config.v2.json 2>/dev/null | head -c 1048576"
        " | grep -oE {} | cut -d '\"' -f 4 | sort -u",
        root,
        '"Driver":"[a-z0-9-]+","(OS|Platform)"',  # a container's own; those of its volumes end otherwise
    )
    told = host.get_fact(UserCommand, user=account.name, home=account.home, script=look)
    found = {each for each in told if re.fullmatch(r"[a-z0-9-]{1,40}", each)}
    if found and not found & DRIVERS:
        word = min(found)
        how = f'write rootless_docker.daemon = {{"storage-driver": "{word}"}}, or move' if more else "move"
        fail(
            [
                f"{account.name} has containers or images of Docker in {root} by the driver {word}, and Docker would"
                f" take another one and not find them; nothing was changed. To keep them, {how} them away"
            ]
        )


def _daemon(settings: RootlessDocker, more: Mapping[str, object]) -> dict[str, object]:
    # It is rotated by itself; json-file grows without end.
    daemon: dict[str, object] = {"log-driver": "local", **more}
    if settings.registry_mirrors:
        daemon["registry-mirrors"] = list(settings.registry_mirrors)
    if settings.host_loopback:
        daemon["host-gateway-ip"] = "10.0.2.2"  # slirp4netns' address of the host
    return daemon

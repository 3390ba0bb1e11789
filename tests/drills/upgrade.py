"""New versions of Claude Code and of the gateway over three hosts, the way back, and versions that do not start."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.drills import looks, npm_registry, supplied
from tests.drills.deployment import LIMIT_SECONDS, Run
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.person import clone
from tests.drills.stage import HOST, Stage, lab_host
from tests.lab import hosts, services
from tests.lab.instance import Lab
from tests.lab.inventory import write_inventory
from tests.lab.machine import sh, step
from tests.lab.mirror import claude_code, image, registry
from tests.lab.mirror.clients import npm_pack
from tests.lab.mirror.packing import cached, pack, unpack

drill = Drill(
    "upgrade",
    "new versions, the way back, and versions that do not start",
    "Upgrade and return of Claude Code and the gateway on three hosts by rollout, with a version that does not start: "
    "stopped at the canary and put back.",
)

NAMES = [lab_host(f"up{number}") for number in range(1, 4)]
CANARY = NAMES[0]
OLD = {"claude_code": "2.1.328", "litellm": "1.108.9"}
BROKEN = {"claude_code": "2.1.999", "litellm": "1.108.99"}  # newer than any that there is


@dataclass(frozen=True)
class Fleet:
    """A clone whose group_data has the pins, an inventory of the hosts in it, and where its rollouts remember."""

    project: Path
    state: Path
    first: str = CANARY

    def signalbox(self, *words: str) -> Run:
        """Run one of our commands in the clone, as its owner does."""
        environment = {**os.environ, **services.environment(), "XDG_STATE_HOME": str(self.state)}
        done = subprocess.run(
            [sys.executable, "-c", "from signalbox.commands.cli import main; main()", *words], cwd=self.project,
            env={**environment, "PYTHONPATH": str(self.project)}, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, check=False, timeout=LIMIT_SECONDS,
        )  # fmt: skip
        return Run(done.returncode, done.stdout, done.stderr, 0)

    def upgrade(self, *words: str) -> Run:
        """Write other pins and commit them."""
        where = ("--output", "group_data/all.py", "--inventory", "fleet.py", "--limit", self.first)
        run = self.signalbox("upgrade", *words, "--yes", *where)
        assert run.status == 0, (words, run.stderr[-2000:])
        person = ["-c", "user.name=drill", "-c", "user.email=drill@localhost"]
        sh("git", "-C", str(self.project), *person, "commit", "--quiet", "--all", "--message", f"upgrade {words}")
        return run

    def rollout(self) -> tuple[Run, dict[str, str]]:
        """Roll out to the canary, then to the others; return each host's state."""
        run = self.signalbox("rollout", "fleet.py", "--json", "--canary", CANARY, "--wave", "2")
        assert run.stdout, run.stderr[-2000:]
        return run, {each["host"]: each["state"] for each in json.loads(run.stdout)["hosts"]}


def _archives(directory: Path) -> dict[str, dict[str, Path]]:
    """Return the pinned Claude Code, the one before, and one whose program does not start, by package and version."""
    pinned, found = _pinned()["claude_code"], {}
    for name in claude_code.PARTS.values():
        below = directory / name.split("/")[1]
        versions = {
            version: npm_pack(f"{name}@{version}", below.with_name(f"{below.name}-{version}"))
            for version in (OLD["claude_code"], pinned)
        }
        broken = _broken_package(versions[pinned], below.with_name(f"{below.name}-broken"))
        found[name] = {**versions, BROKEN["claude_code"]: broken}
    return found


def _broken_package(archive: Path, directory: Path) -> Path:
    """Return the package as a newer version in which every large program ends at once."""
    root = directory / "package"
    unpack(archive, root)
    described = root / "package.json"
    package = json.loads(described.read_text())
    package["version"] = BROKEN["claude_code"]
    of_architecture = package.get("optionalDependencies", {})
    package["optionalDependencies"] = {
        name: BROKEN["claude_code"] for name in of_architecture if name in claude_code.PARTS.values()
    }
    described.write_text(json.dumps(package))
    for file in root.rglob("*"):
        if file.is_file() and file.stat().st_size > 10_000_000:
            file.write_text("#!/bin/sh\necho 'Illegal instruction' >&2\nexit 132\n")
            file.chmod(0o755)
    packed = pack(directory, ["package"], directory / "broken.tgz")
    return packed.path


@contextmanager
def _images(bind: str, directory: Path) -> Iterator[str]:
    """Serve a registry of images: the pinned LiteLLM, the one before, and one whose program does not start."""
    pinned = _pinned()["litellm"]
    old = cached("litellm", OLD["litellm"], image, registry.stored)
    new = cached("litellm", pinned, image, registry.stored)
    storage = directory / "registry"
    storage.mkdir()
    for each in (old, new):  # blobs have the names of their contents, so two storages are one
        sh("cp", "--archive", "--no-clobber", f"{each / 'registry'}/.", str(storage))
    with registry.serving(storage) as (session, url):
        _push_broken(session, f"{url}/v2/{registry.NAME}", pinned, directory)
        repository = f"{url}/v2/{registry.NAME}"
        for tag in (OLD["litellm"], pinned, BROKEN["litellm"]):
            accept = {"Accept": image.MANIFEST_TYPE}
            assert session.get(f"{repository}/manifests/{tag}", headers=accept, timeout=10).ok, tag
    mirror = Lab.current().state / "services" / "mirror"
    with registry.serving(storage, bind, (mirror / "server.crt", mirror / "server.key")) as (_, url):
        yield f"{url.removeprefix('https://')}/{registry.NAME}"


def _push_broken(session: Any, repository: str, tag: str, directory: Path) -> None:
    """Push an image that is the tagged one with an entry point that ends at once."""
    accept = {"Accept": image.MANIFEST_TYPE}
    manifest = session.get(f"{repository}/manifests/{tag}", headers=accept, timeout=10).json()
    config = session.get(f"{repository}/blobs/{manifest['config']['digest']}", timeout=10).json()
    root = directory / "layer"
    entry = root / image.ENTRYPOINT.lstrip("/")
    entry.parent.mkdir(parents=True)
    entry.write_text("#!/bin/sh\necho 'ImportError: libpython3.so: cannot open shared object file' >&2\nexit 1\n")
    entry.chmod(0o755)
    for program in ("litellm", "python", "python3"):  # whatever starts it
        file = root / "app/.venv/bin" / program
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(entry.read_text())
        file.chmod(0o755)
    built = directory / "broken"
    (built / "blobs").mkdir(parents=True)
    layer = pack(root, ["app"], built / "layer")
    layer.path.rename(built / "blobs" / layer.sha256)
    config["rootfs"]["diff_ids"].append(f"sha256:{layer.tar_sha256}")
    config["history"].append({"created_by": "broken"})
    encoded = json.dumps(config).encode()
    name = hashlib.sha256(encoded).hexdigest()
    (built / "blobs" / name).write_bytes(encoded)
    manifest["config"] |= {"digest": f"sha256:{name}", "size": len(encoded)}
    of_layer = {"mediaType": image.LAYER_TYPE, "digest": f"sha256:{layer.sha256}", "size": layer.size}
    manifest["layers"].append(of_layer)
    (built / "manifest.json").write_text(json.dumps(manifest))
    registry.push(session, repository.partition("/v2/")[0], built, BROKEN["litellm"])


def _pinned() -> dict[str, str]:
    return {name: str(pin["version"]) for name, pin in services.lab_settings()["pins"].items()}


@contextmanager
def _fleet(stage: Stage) -> Iterator[Fleet]:
    """Give three hosts with the versions before the pinned ones, rolled out to and verified once."""
    stage.discard(*NAMES)
    stage.bare(CANARY)
    bind = Lab.current().ipv4(1)
    with (
        clone() as project,
        tempfile.TemporaryDirectory(prefix="signalbox-upgrade-") as directory,
        npm_registry.serving(bind, files := _made(Path(directory, "npm")), _archives(files)) as npm,
        _images(bind, _made(Path(directory, "images"))) as images,
    ):
        settings = services.lab_settings()
        pins = settings.pop("pins")
        settings["mirrors"] |= {"npm": npm, "litellm": images}
        fleet = Fleet(project, _made(Path(directory, "state")))
        write_inventory([CANARY], settings, path=project / "fleet.py")
        versions = {"mise": pins["mise"]["version"], "node": pins["node"]["version"], **OLD}
        fleet.upgrade(*(f"{name}={version}" for name, version in versions.items()))
        with step(f"deploying to {CANARY}"):
            run, states = fleet.rollout()
            assert states == {CANARY: "done"}, (states, run.stderr[-3000:])
        hosts.poweroff(CANARY)
        hosts.clone(CANARY, NAMES[1:])
        stage.up(*NAMES)
        write_inventory(NAMES, settings, path=project / "fleet.py")
        run, states = fleet.rollout()
        assert states == dict.fromkeys(NAMES, "done"), (states, run.stderr[-3000:])
        yield fleet


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def _has(host: str) -> dict[str, str]:
    """Return which versions run on the host."""
    docker = "runuser -u litellm -- docker -H unix:///run/user/$(id -u litellm)/docker.sock"
    label = '{{index .Config.Labels "org.opencontainers.image.version"}}'
    running = f"{docker} inspect -f '{label}' $({docker} ps -q --filter label=signalbox=gateway | head -n1)"
    return {
        "claude_code": looks.answer("bash -lc 'claude --version'", host=host).split()[0],
        "litellm": looks.answer(running, host=host, user="root"),
    }


def _same(wanted: Mapping[str, str]) -> None:
    """AssertionError unless all three hosts run these versions, and a person gets an answer through the gateway."""
    for name in NAMES:
        assert _has(name) == wanted, (name, _has(name), wanted)
        told = looks.answer("bash -lc 'cd ~ && claude-routed -p hello'", host=name)
        assert "Hello from simulated" in told, told


def _deploys() -> list[str]:
    return [looks.answer("wc -l < /var/log/signalbox/deploys.jsonl", host=name, user="root") for name in NAMES[1:]]


def _stopped(fleet: Fleet, has: Mapping[str, str], what: str) -> str:
    """Roll out a version that does not start; return how it was told. AssertionError unless nobody has got it."""
    deploys = _deploys()
    run, states = fleet.rollout()
    assert run.status == 1, run.stderr[-2000:]
    assert states == {CANARY: "put back", **dict.fromkeys(NAMES[1:], "waiting")}, (states, run.stderr[-3000:])
    assert _deploys() == deploys, "hosts of later waves were deployed to"
    _same(has)
    words = next(line.strip() for line in run.stderr.splitlines() if f"{CANARY}: put back" in line)
    return f"{what} stopped at the canary and put back: {words[:200]}"


@drill.cell("pins", fixed=True)
def pins(stage: Stage) -> Figures:
    """Another version is drift that the plan names, and nothing else is; after --back the plan is clean."""
    stage.converged()
    with clone() as project, tempfile.TemporaryDirectory(prefix="signalbox-upgrade-") as directory:
        settings = services.lab_settings()
        wanted = settings["pins"].pop("claude_code")["version"]
        fleet = Fleet(project, Path(directory), HOST)
        write_inventory([HOST], settings, path=project / "fleet.py")

        def planned() -> list[str]:
            report = json.loads(fleet.signalbox("plan", "fleet.py", "--json").stdout)
            return [change["operation"] for change in report["hosts"][0]["changes"] if change["certainty"] == "will"]

        assert fleet.signalbox("plan", "fleet.py").status == 0
        fleet.upgrade(f"claude_code={OLD['claude_code']}")
        named = planned()
        assert named, "another version is pinned, and the plan is clean"
        assert all("Claude Code" in each or "claude-doctor" in each or "mise" in each for each in named), named
        fleet.upgrade("--back")
        assert planned() == []
    return {"pinned": f"{OLD['claude_code']} instead of {wanted}", "named": "; ".join(named), "back": "clean"}


@drill.cell("versions")
def versions(stage: Stage) -> Figures:
    """Upgraded, returned, and stopped: Claude Code and LiteLLM on three hosts, by rollout."""
    with _fleet(stage) as fleet:
        _same(OLD)
        pinned = {name: version for name, version in _pinned().items() if name in OLD}
        control = must_fail(lambda: _same(pinned), "the versions of before")
        fleet.upgrade(*(f"{name}={version}" for name, version in pinned.items()))
        run, states = fleet.rollout()
        assert (run.status, states) == (0, dict.fromkeys(NAMES, "done")), (states, run.stderr[-3000:])
        _same(pinned)
        fleet.upgrade("--back")
        run, states = fleet.rollout()
        assert (run.status, states) == (0, dict.fromkeys(NAMES, "done")), (states, run.stderr[-3000:])
        _same(OLD)
        fleet.upgrade("litellm")  # the newest
        gateway = _stopped(fleet, OLD, f"litellm {BROKEN['litellm']}")
        fleet.upgrade("--back")
        fleet.upgrade("claude_code")
        claude = _stopped(fleet, OLD, f"claude_code {BROKEN['claude_code']}")
        fleet.upgrade("--back")
        run, states = fleet.rollout()
        assert (run.status, states) == (0, dict.fromkeys(NAMES, "done")), (states, run.stderr[-3000:])
    told = ", ".join(f"{name} {OLD[name]} → {pinned[name]} → {OLD[name]}" for name in OLD)
    return {"hosts": len(NAMES), "upgraded and returned": told, "gateway": gateway, "claude": claude,
            "control": control}  # fmt: skip


drill.cell("swapped")(supplied.swapped)
drill.cell("repacked")(supplied.repacked)

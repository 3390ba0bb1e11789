"""The gateway's container image, built from PyPI in the shape of LiteLLM's official one, without a container engine.

Shape (https://github.com/BerriAI/litellm, its Dockerfile): WORKDIR /app, USER 65532:65532, a virtual environment in
/app/.venv, ENTRYPOINT /app/docker-entrypoint.sh that hands its arguments to `litellm`, no CMD. Everything belongs to
root and is readable by all, so that it runs read-only, without capabilities, as any user.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from pathlib import Path

from tests.lab.base import SUITE, apt_options, apt_sources
from tests.lab.machine import LabError, sh, step
from tests.lab.mirror.clients import uv_install
from tests.lab.mirror.packing import Packed, pack, remove

VERSION = "1.108.10"  # the newest of the 1.108 series on PyPI
OVERRIDES = [
    # LiteLLM demands releases of these two that PyPI does not have: the nearest ones.
    "certifi>=2026.10.18",
    "litellm-enterprise==0.1.79.*",
    # 172 MB that only exports of spend out of a database use; a marker that never holds leaves it out.
    "polars; sys_platform == 'never'",
]
USER = "65532:65532"
ENTRYPOINT = "/app/docker-entrypoint.sh"
SCRIPT = '#!/bin/sh\nset -eu\nexec /app/.venv/bin/litellm "$@"\n'
COMPILE = """
import sys
from py_compile import PycInvalidationMode, compile
import litellm.proxy.proxy_cli, litellm.proxy.proxy_server
for module in list(sys.modules.values()):
    if (getattr(module, "__file__", None) or "").endswith(".py"):
        compile(module.__file__, doraise=True, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
"""
PATHS = "/app/.venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Empty in an image: mount points of what the engine provides.
MOUNTED = ("dev", "proc", "run", "sys")

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"


def build(directory: Path, version: str) -> str:
    """Write manifest.json and blobs/<sha256> of the image; return the manifest's digest, "sha256:…".

    https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md
    """
    blobs = directory / "blobs"
    blobs.mkdir()
    with tempfile.TemporaryDirectory(dir=directory) as temporary:
        root = Path(temporary, "root")
        with step("LiteLLM image: Debian and Python"):
            _debian(root)
        with step(f"LiteLLM image: LiteLLM {version} from PyPI"):
            _litellm(root, version)
        with step("LiteLLM image: bytecode"):
            _bytecode(root)
        with step("LiteLLM image: layers"):
            for name in MOUNTED:
                remove(root / name)
                (root / name).mkdir()
            system = sorted(path.name for path in root.iterdir() if path.name != "app")
            layers = [pack(root, system, directory / "system"), pack(root, ["app"], directory / "app")]
    for layer in layers:
        layer.path.rename(blobs / layer.sha256)
    config = json.dumps(_config(layers, version)).encode()
    config_digest = hashlib.sha256(config).hexdigest()
    (blobs / config_digest).write_bytes(config)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "digest": f"sha256:{config_digest}", "size": len(config)},
        "layers": [
            {"mediaType": LAYER_TYPE, "digest": f"sha256:{layer.sha256}", "size": layer.size} for layer in layers
        ],
    }
    written = json.dumps(manifest, indent=1).encode()
    (directory / "manifest.json").write_bytes(written)
    return f"sha256:{hashlib.sha256(written).hexdigest()}"


def _config(layers: list[Packed], version: str) -> dict[str, object]:
    """Return the image's configuration: https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md"""
    return {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "User": USER,
            "WorkingDir": "/app",
            "Entrypoint": [ENTRYPOINT],
            "Env": [f"PATH={PATHS}"],
            "ExposedPorts": {"4000/tcp": {}},
            "Labels": {"org.opencontainers.image.title": "litellm", "org.opencontainers.image.version": version},
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.tar_sha256}" for layer in layers]},
        "history": [
            {"created_by": f"mmdebstrap {SUITE}"},
            {"created_by": f"uv pip install {' '.join(_requirements(version))}"},
        ],
    }


def _requirements(version: str) -> list[str]:
    return [f"litellm[proxy]=={version}", "prisma"]  # without prisma a missing key is answered with 500, not 401


def _debian(root: Path) -> None:
    """Make a small Debian with Python, the image's user in it, from the machine's own mirrors."""
    sources, options = apt_sources(), apt_options()
    work = root.parent
    # Files, not arguments: a proxy's address may hold a password.
    (work / "apt.conf").write_text(options)
    (work / "debian.sources").write_text(sources or "")
    command = ["mmdebstrap", "--mode=root", "--quiet", "--variant=minbase", "--include=python3,ca-certificates"]
    command += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "info", "locale", "man")]
    command += [f"--aptopt={work / 'apt.conf'}"] if options else []
    command += [SUITE, str(root)] + ([str(work / "debian.sources")] if sources else [])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join(done.stderr.splitlines()[-8:])
        raise LabError(f"mmdebstrap could not build Debian {SUITE}; is the Debian mirror reachable? It said:\n{tail}")
    root.chmod(0o755)
    uid, gid = USER.split(":")
    sh("chroot", str(root), "groupadd", "--gid", gid, "nonroot")
    sh("chroot", str(root), "useradd", "--uid", uid, "--gid", gid, "--create-home", "--shell=/bin/sh", "nonroot")
    for name in ("etc/machine-id", "etc/hostname", "etc/resolv.conf", "var/log/dpkg.log", "var/log/apt/history.log"):
        (root / name).unlink(missing_ok=True)


def _litellm(root: Path, version: str) -> None:
    """Install LiteLLM into /app/.venv and write the entry point."""
    python = (root / "usr/bin/python3").readlink().name
    environment = root / "app/.venv"
    sh("chroot", str(root), "python3", "-m", "venv", "--without-pip", "/app/.venv")
    packages = environment / "lib" / python / "site-packages"
    # From outside, with the machine's own configuration: nothing of it enters the image.
    installed = root.parent / "packages"
    uv_install(installed, python.removeprefix("python"), _requirements(version), OVERRIDES)
    for script in sorted((installed / "bin").iterdir()):
        shebang, _, body = script.read_bytes().partition(b"\n")
        if shebang.startswith(b"#!") and b"python" in shebang:
            (environment / "bin" / script.name).write_bytes(b"#!/app/.venv/bin/python\n" + body)
            (environment / "bin" / script.name).chmod(0o755)
    sh("rm", "-r", str(installed / "bin"))
    sh("cp", "--archive", f"{installed}/.", str(packages))
    entrypoint = root / ENTRYPOINT.lstrip("/")
    entrypoint.write_text(SCRIPT)
    entrypoint.chmod(0o755)


def _bytecode(root: Path) -> None:
    """Leave the bytecode of what a start imports: it starts in half the time, and other bytecode is files to unpack.

    Not checked against the sources' times, which an image does not keep.
    """
    for directory in [*root.glob("usr/lib/python3*/**/__pycache__"), *root.glob("app/**/__pycache__")]:
        remove(directory)
    environment = ["env", "-i", f"PATH={PATHS}", "HOME=/nonexistent", "LITELLM_LOCAL_MODEL_COST_MAP=True"]
    sh("chroot", str(root), *environment, "/app/.venv/bin/python", "-B", "-c", COMPILE)

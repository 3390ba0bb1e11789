"""The machine's own package clients, npm and uv, used as they are configured: no registry's address is known here."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.lab.machine import LabError

CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
REPOSITORY = Path(__file__).parents[3]
# Where pip looks for its configuration, the later ones win: https://pip.pypa.io/en/stable/topics/configuration/
PIP_FILES = ("/etc/xdg/pip/pip.conf", "/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")
# pip's options, and uv's variables that mean the same. Extra indexes are not taken over: everything wanted here is
# public, and uv takes one index's files of a version where pip takes the best of all (a wheel without its library).
PIP_TO_UV = {"index-url": "UV_DEFAULT_INDEX", "cert": "SSL_CERT_FILE"}


def _run(what: str, command: list[str], environment: dict[str, str]) -> str:
    # Away from this project's directory, whose own configuration would be read.
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd="/")
    if done.returncode:
        tail = "\n".join(done.stderr.strip().splitlines()[-8:])
        raise LabError(f"{what} failed; is the package registry reachable? It said:\n{tail}")
    return done.stdout


def npm(*arguments: str, pristine: bool = False) -> str:
    """Run npm and return its stdout: the machine's own, else the one of the Python environment.

    `pristine` ignores every configuration of user and machine.
    """
    executable = shutil.which("npm") or str(Path(sys.executable).with_name("npm"))
    environment = dict(os.environ)
    if CA_BUNDLE.exists():
        environment.setdefault("NODE_EXTRA_CA_CERTS", str(CA_BUNDLE))
    command = [executable, *arguments]
    if pristine:
        environment = {key: value for key, value in environment.items() if not key.lower().startswith("npm_config_")}
        command += ["--userconfig=/nonexistent/user", "--globalconfig=/nonexistent/global"]
    return _run(f"npm {arguments[0]}", command, environment)


def npm_view(package: str, field: str) -> Any:
    """Return one field of `name@version` as the npm registry tells it."""
    told = npm("view", package, field, "--json").strip()
    if not told:
        raise LabError(f"npm knows no {field} of {package}: is there such a version?")
    return json.loads(told)


def npm_pack(package: str, directory: Path) -> Path:
    """Download `name@version` into `directory`, checked against its integrity hash by npm; return the archive."""
    directory.mkdir(parents=True)
    npm("pack", package, "--pack-destination", str(directory), "--ignore-scripts")
    return next(directory.glob("*.tgz"))


def npm_registry() -> str | None:
    """Return the npm registry that this machine is configured for; None when it is npm's own default."""
    configured = npm("config", "get", "registry").strip()
    return None if configured == npm("config", "get", "registry", pristine=True).strip() else configured


def uv_install(
    target: Path, python_version: str, requirements: list[str], overrides: list[str], *, alone: bool = False
) -> None:
    """Install wheels for 64-bit Linux and `python_version` ("3.13") into the directory `target`.

    alone: without what they need themselves.

    `overrides` replace what packages demand of each other: https://docs.astral.sh/uv/concepts/resolution/#dependency-overrides
    """
    executable = shutil.which("uv") or shutil.which("uv", path=str(REPOSITORY / ".signalbox/uv/bin"))
    if executable is None:
        raise LabError("uv is missing: scripts/bootstrap installs it")
    target.mkdir(parents=True, exist_ok=True)
    override_file = target.with_name("overrides.txt")
    override_file.write_text("".join(f"{line}\n" for line in overrides))
    command = [executable, "pip", "install", "--quiet", "--python", sys.executable, "--target", str(target)]
    command += ["--python-version", python_version, "--python-platform", "x86_64-manylinux_2_40"]
    command += ["--only-binary", ":all:", "--override", str(override_file), *requirements]
    command += ["--no-deps"] if alone else []
    _run("uv pip install", command, uv_environment(dict(os.environ)))


def uv_environment(environment: dict[str, str]) -> dict[str, str]:
    """Return the environment for uv, with what pip is configured for where uv itself is not configured."""
    environment = {"UV_PYTHON_DOWNLOADS": "never"} | environment
    uv_files = [Path("/etc/uv/uv.toml"), Path.home() / ".config/uv/uv.toml"]
    indexes = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
    if not any(path.exists() for path in uv_files) and not any(name in environment for name in indexes):
        for option, value in _pip_options(environment).items():
            environment.setdefault(PIP_TO_UV[option], value)
    if CA_BUNDLE.exists():
        environment.setdefault("SSL_CERT_FILE", str(CA_BUNDLE))
    return environment


def _pip_options(environment: dict[str, str]) -> dict[str, str]:
    files = configparser.RawConfigParser(strict=False)
    files.read(os.path.expanduser(path) for path in (*PIP_FILES, environment.get("PIP_CONFIG_FILE", os.devnull)))
    found: dict[str, str] = {}
    for option in PIP_TO_UV:
        for section in ("global", "install"):
            found[option] = files.get(section, option, fallback=found.get(option, ""))
        found[option] = environment.get("PIP_" + option.upper().replace("-", "_"), found[option])
    return {option: value for option, value in found.items() if value.strip()}

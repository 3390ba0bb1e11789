"""What an npm registry says of a package: by the npm client, which knows the machine's configuration, or HTTPS."""

from __future__ import annotations

import base64
import binascii
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signalbox.pins.errors import PinError
from signalbox.pins.web import Web


@dataclass(frozen=True)
class Package:
    """One version of a package: npm's integrity, where its tarball is, and its optional dependencies."""

    integrity: str
    tarball: str
    optional: dict[str, str]  # name: version


def package(web: Web, name: str, version: str, registry: str | None) -> Package:
    """What the registry says of a package's version.

    Args:
        registry: base URL; None: the one npm is configured for.

    Raises:
        PinError: there is no npm and no registry, or no such package.
    """
    data = _data(web, name, version, registry)
    dist = data.get("dist") or {}
    integrity = str(dist.get("integrity", ""))
    try:
        good = len(base64.b64decode(integrity.removeprefix("sha512-"), validate=True)) == 64
    except binascii.Error:
        good = False
    if not (good and integrity.startswith("sha512-")):
        raise PinError(f"{name} {version}: the registry has no sha512 integrity for it; use another registry")
    return Package(integrity, str(dist.get("tarball", "")), dict(data.get("optionalDependencies") or {}))


def tagged(web: Web, name: str, tag: str, registry: str | None) -> str:
    """Return the version that a dist-tag, such as `latest`, names.

    Raises:
        PinError: there is no npm and no registry, or no such package or tag.
    """
    version = _data(web, name, "", registry).get("dist-tags", {}).get(tag)
    if not isinstance(version, str):
        raise PinError(f"{name}: the registry names no version {tag}; use another registry")
    return version


def _data(web: Web, name: str, version: str, registry: str | None) -> dict[str, Any]:
    """What the registry has of a version, or of the package as a whole where `version` is empty."""
    npm = client()
    if npm:
        return _view(npm, f"{name}@{version}" if version else name, registry)
    if not registry:
        raise PinError("npm is not installed here and mirrors.npm is None; install npm, or set mirrors.npm")
    url = "/".join(filter(None, (registry, name.replace("/", "%2f"), version)))
    try:
        data = json.loads(web.text(url, f"{name} {version}".strip()))
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise PinError(f"{url}: what came is no JSON; is mirrors.npm a registry?")
    return data


def client() -> list[str] | None:
    """npm as the machine has it, else the one that comes with this project's development packages."""
    beside = Path(sys.executable).parent / "npm"
    found = shutil.which("npm") or (str(beside) if os.access(beside, os.X_OK) else None)
    return [found] if found else None


def _view(npm: list[str], spec: str, registry: str | None) -> dict[str, Any]:
    # With one field npm prints its value without its name: "name" makes them several.
    command = [*npm, "view", "--json", spec, "name", "dist", "dist-tags", "optionalDependencies"]
    if registry:
        command += ["--registry", registry]
    with tempfile.TemporaryDirectory(prefix="signalbox-") as nowhere:  # no project's .npmrc
        try:
            done = subprocess.run(command, cwd=nowhere, capture_output=True, text=True, timeout=120, check=False)
        except subprocess.TimeoutExpired:
            raise PinError(f"npm view {spec}: no answer within 120 s; check the network and npm's registry") from None
    try:
        data = json.loads(done.stdout or "null")
    except ValueError:
        data = None
    if done.returncode != 0 or not isinstance(data, dict):
        error = data.get("error", {}) if isinstance(data, dict) else {}
        why = error.get("summary") or (done.stderr.strip().splitlines() or ["it found nothing"])[-1]
        raise PinError(f"npm view {spec}: {why}")
    return data

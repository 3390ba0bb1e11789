"""Claude Code's integrity hashes. It is fetched from npm itself, as by any user: there is nothing to mirror."""

from __future__ import annotations

import json
from pathlib import Path

from tests.lab.mirror.clients import npm_view

PACKAGE = "@anthropic-ai/claude-code"
# What a host installs: the package, and the optional dependency that holds its architecture's binary
PARTS = {"package": PACKAGE, "amd64": f"{PACKAGE}-linux-x64", "arm64": f"{PACKAGE}-linux-arm64"}


def resolve(directory: Path, version: str) -> None:
    """Write integrity.json: npm's `dist.integrity` of each part, "sha512-…"."""
    found = {part: npm_view(f"{name}@{version}", "dist.integrity") for part, name in PARTS.items()}
    (directory / "integrity.json").write_text(json.dumps(found, indent=1))


def integrity(directory: Path) -> dict[str, str]:
    """Return what `resolve` wrote."""
    found: dict[str, str] = json.loads((directory / "integrity.json").read_text())
    return found

"""Signalbox as people install it: a wheel built from this tree, `uv tool install`, and a machine that has no clone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
_UV = PROJECT / ".signalbox/uv/bin/uv"  # of scripts/bootstrap
UV_ENVIRONMENT = {"UV_NATIVE_TLS": "1", "UV_SYSTEM_CERTS": "1", "UV_PYTHON_DOWNLOADS": "never"}
_SECONDS = 600


def uv() -> Path:
    """Return the path of uv: that on PATH, or that of scripts/bootstrap."""
    found = shutil.which("uv")
    if found:
        return Path(found)
    beside = (PROJECT / ".venv").resolve().parent / ".signalbox/uv/bin/uv"  # of the tree that this one's .venv is from
    for path in (_UV, beside):
        if path.exists():
            return path
    raise AssertionError("there is no uv; scripts/bootstrap installs one")


def tree(directory: Path) -> Path:
    """Put the files of this tree that git tracks, or would, into a directory, and return it."""
    words = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    for name in subprocess.run(words, cwd=PROJECT, check=True, capture_output=True, text=True).stdout.split("\0"):
        if name and (PROJECT / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, directory / name)
    return directory


def wheel(source: Path, out: Path, version: str = "") -> Path:
    """Build the wheel of a tree, by its sdist, as another version if one is named; return its path."""
    if version:
        path = source / "pyproject.toml"
        path.write_text(re.sub(r'(?m)^version = ".*"$', f'version = "{version}"', path.read_text()))
    done = subprocess.run(
        [str(uv()), "build", "--quiet", "--out-dir", str(out), str(source)],
        env={**os.environ, **UV_ENVIRONMENT}, capture_output=True, text=True, check=False, timeout=_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return max(out.glob("*.whl"), key=lambda path: path.stat().st_mtime_ns)


@dataclass(frozen=True)
class Machine:
    """A person's machine: a home of its own, and uv with its tools on PATH."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of this tree is in it, nor any secret."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.endswith(("_KEY", "_TOKEN", "_PASSWORD"))
            and not name.startswith(("PYTHON", "PYTEST_", "VIRTUAL_"))
        }
        cache = os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache/uv")
        return {
            **kept, **UV_ENVIRONMENT, "HOME": str(self.home), "UV_CACHE_DIR": cache, "SSH_AUTH_SOCK": "",
            "XDG_STATE_HOME": str(self.home / ".local/state"), "UV_LINK_MODE": "copy",
            "PATH": f"{self.home}/.local/bin:{uv().parent}:/usr/local/bin:/usr/bin:/bin",
        }  # fmt: skip

    def run(
        self,
        *words: str,
        cwd: Path,
        timeout: float = _SECONDS,
        secrets: Mapping[str, str] | None = None,
        answer: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there, with nobody at a terminal."""
        return subprocess.run(
            words, cwd=cwd, env={**self.environment, **(secrets or {})}, input=answer, capture_output=True, text=True,
            check=False, timeout=timeout,
        )  # fmt: skip

    def install(self, path: Path) -> None:
        """Install a wheel as a tool, as the README tells."""
        done = self.run("uv", "tool", "install", "--quiet", "--force", str(path), cwd=self.home)
        assert done.returncode == 0, done.stderr[-2000:]


def size(environment: Path) -> tuple[int, int]:
    """Return how many packages a Python environment has, and how many MB of files."""
    packages = len(list(environment.glob("lib/python3*/site-packages/*.dist-info")))
    files = {
        (file.stat().st_ino, file.stat().st_size)
        for file in environment.rglob("*")
        if file.is_file() and not file.is_symlink()
    }
    return packages, sum(size for _, size in files) // 1_000_000

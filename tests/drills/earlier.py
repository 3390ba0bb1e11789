"""The project as it was at an earlier commit, for hosts that it has converged."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.drills.record import PROJECT
from tests.lab import services

LIMIT_SECONDS = 900


@contextmanager
def earlier(commit: str) -> Iterator[Path]:
    """Give a directory with the project of that commit, which runs with the packages of this one.

    pyinfra finds our hooks by what is installed: beside the old modules lies that they are, with their own names.
    """
    with tempfile.TemporaryDirectory(prefix="signalbox-earlier-") as temporary:
        old = Path(temporary)
        archive = subprocess.run(["git", "archive", commit], cwd=PROJECT, capture_output=True, check=True)
        subprocess.run(["tar", "-x", "-C", temporary], input=archive.stdout, check=True)
        project = tomllib.loads((old / "pyproject.toml").read_text())["project"]
        installed = old / f"{project['name']}-{project['version']}.dist-info"
        installed.mkdir()
        (installed / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
        groups = project.get("entry-points", {}).items()
        lines = [f"[{group}]\n" + "".join(f"{name} = {at}\n" for name, at in each.items()) for group, each in groups]
        (installed / "entry_points.txt").write_text("\n".join(lines))
        yield old


def deploy(old: Path, inventory: Path) -> None:
    """Deploy with an earlier project; AssertionError with what it said unless that succeeds."""
    environment = {**os.environ, **services.environment(), "PYINFRA_PROGRESS": "off", "PYTHONPATH": str(old)}
    command = [sys.executable, "-m", "pyinfra", "-y", str(inventory), "deploy.py"]
    done = subprocess.run(command, cwd=old, env=environment, check=False, capture_output=True, text=True,
                          timeout=LIMIT_SECONDS)  # fmt: skip
    assert done.returncode == 0, f"the earlier project's deploy ended with {done.returncode}:\n{done.stderr[-3000:]}"

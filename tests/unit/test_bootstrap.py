"""scripts/bootstrap on machines that cannot: one clear sentence, an exit status, and nothing installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what bootstrap needs, without an environment, that anybody may read."""
    for name in ("scripts", "pyproject.toml", "uv.lock"):
        source = PROJECT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    for parent in (tmp_path, *tmp_path.parents):
        if Path(tempfile.gettempdir()) in parent.parents:
            parent.chmod(0o755)
    return tmp_path


def bootstrap(project: Path, *before: str, path: str = os.environ["PATH"]) -> tuple[int, str]:
    done = subprocess.run(
        [*before, str(project / "scripts" / "bootstrap")],
        env={"PATH": path, "HOME": str(project)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_who_is_not_root_is_told_so(project: Path) -> None:
    status, said = bootstrap(project, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    assert (status, said) == (
        1,
        "signalbox: this needs root, because the lab runs real Debian hosts with systemd-nspawn;"
        " run it as root, or deploy to a host of your own (README.md).\n",
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="root is asked for first")
def test_a_machine_without_apt_is_told_so(project: Path) -> None:
    tools = project / "bin"
    tools.mkdir()
    for tool in ("sh", "id", "dirname"):
        (tools / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
    status, said = bootstrap(project, path=str(tools))
    assert status == 1
    assert said.startswith("signalbox: this needs Debian 12 or 13, because the lab's hosts are made with its tools;")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take the network away")
@pytest.mark.slow
def test_a_machine_without_a_network_is_told_so(project: Path) -> None:
    status, said = bootstrap(project, "unshare", "--net", path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert status == 1
    assert said.rstrip().endswith("is there a network?)")
    assert not (project / ".venv").exists()

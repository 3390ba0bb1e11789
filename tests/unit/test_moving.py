"""A fleet that lives in a clone is moved out of it: what goes where, and that each host is set to the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalbox.init import moving
from signalbox.init.files import literals
from signalbox.init.moving import MoveError, differing
from tests import installed

PROJECT = installed.PROJECT
HOSTS = """
mine = [("@fake/box1", {"service_user": {"name": "agent"}}), "@fake/box2"]
others = ["@fake/box3"]
"""


def git(directory: Path, *words: str) -> str:
    who = ["-c", "user.name=me", "-c", "user.email=me@localhost", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", "-C", str(directory), *who, *words], capture_output=True, text=True, check=True)
    return done.stdout


def signalbox(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command of the clone that `cwd` is, as its owner does."""
    return subprocess.run(
        [sys.executable, "-c", "from signalbox.commands.cli import main; main()", *words], cwd=cwd, text=True,
        env={**os.environ, "PYTHONPATH": str(cwd), "HOME": str(cwd.parent), "PATH": "/usr/bin:/bin"},
        capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What people clone."""
    origin = installed.tree(tmp_path_factory.mktemp("shipped") / "signalbox")
    git(origin, "init", "--quiet")
    git(origin, "add", ".")
    git(origin, "commit", "--quiet", "--message", "as shipped")
    return origin


@pytest.fixture
def clone(shipped: Path, tmp_path: Path) -> Iterator[Path]:
    """A clone in which a person has written their fleet."""
    there = tmp_path / "signalbox"
    git(tmp_path, "clone", "--quiet", str(shipped), str(there))
    (there / "inventory.py").write_text(HOSTS)
    everything = there / "group_data/all.py"
    text = (
        everything.read_text()
        .replace('"port": 4000', '"port": 4001', 1)
        .replace('"digest": None', f'"digest": "sha256:{"a" * 64}"')
    )
    assert text != everything.read_text()
    everything.write_text(text)
    (there / "group_data/others.py").write_text('base = {"timezone": "Europe/Berlin"}\n')
    (there / "secrets").mkdir()
    (there / "secrets/all.yml").write_text("kept: as it is\n")
    (there / "site.py").write_text("from tasks.base import base\n")
    return there


def settings(directory: Path, host: str) -> str:
    done = signalbox(directory, "settings", "--all", "--json", "--inventory", "inventory.py", "--limit", host)
    assert done.stdout, done.stderr
    return done.stdout


@pytest.mark.slow
def test_everything_of_the_person_moves_and_the_clone_is_as_it_was_cloned(clone: Path, tmp_path: Path) -> None:
    done = signalbox(clone, "init", "--yes", "--move", str(tmp_path / "fleet"))
    assert done.returncode == 0, done.stderr
    for words in ("written   group_data/pins.py", "moved     secrets/all.yml", "restored  inventory.py in the clone",
                  "site.py imports `tasks`", "has 3 hosts, each set as it was"):  # fmt: skip
        assert words in done.stderr, done.stderr
    assert git(clone, "status", "--porcelain") == ""
    fleet = tmp_path / "fleet"
    assert (fleet / "inventory.py").read_text() == HOSTS
    assert literals(fleet / "group_data/all.py") == {"gateway": {"port": 4001}}
    pins = literals(fleet / "group_data/pins.py")["pins"]
    assert pins["litellm"]["digest"] == f"sha256:{'a' * 64}"
    assert pins["node"]["version"]
    assert (fleet / "secrets/all.yml").read_text() == "kept: as it is\n"
    assert (clone / "inventory.py.bak").read_text() == HOSTS
    assert {"deploy.py", "remove.py", "verify.py", "pyproject.toml", ".gitignore"} <= {p.name for p in fleet.iterdir()}
    commit = git(clone, "rev-parse", "HEAD").strip()
    assert f'rev = "{commit}"' in (fleet / "pyproject.toml").read_text()


@pytest.mark.slow
def test_a_fleet_that_was_committed_is_copied(clone: Path, tmp_path: Path) -> None:
    base = git(clone, "rev-parse", "HEAD").strip()
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "--message", "my hosts")
    done = signalbox(clone, "init", "--yes", "--move", str(tmp_path / "fleet"))
    assert done.returncode == 0, done.stderr
    assert "secrets/all.yml (it is committed in the clone, where it stays)" in done.stderr
    assert git(clone, "status", "--porcelain") == ""
    assert literals(tmp_path / "fleet/group_data/all.py") == {"gateway": {"port": 4001}}
    # Not the person's own commit, which holds nothing but what has moved.
    assert f'rev = "{base}"' in (tmp_path / "fleet/pyproject.toml").read_text()


@pytest.mark.slow
def test_changes_to_signalbox_itself_stay_and_are_told(clone: Path, tmp_path: Path) -> None:
    path = clone / "templates/launchers/motd.j2"
    path.write_text(path.read_text() + "mine\n")
    done = signalbox(clone, "init", "--yes", "--move", str(tmp_path / "fleet"))
    assert done.returncode == 0, done.stderr
    assert "stays     templates/launchers/motd.j2: a change of yours to Signalbox itself" in done.stderr
    assert git(clone, "status", "--porcelain") == " M templates/launchers/motd.j2\n"


@pytest.mark.slow
@pytest.mark.parametrize("target", ["fleet", "../full", "../signalbox"])
def test_where_it_cannot_go_nothing_is_changed(clone: Path, target: str) -> None:
    (clone.parent / "full").mkdir()
    (clone.parent / "full" / "mine.txt").write_text("mine")
    before = git(clone, "status", "--porcelain")
    done = signalbox(clone, "init", "--yes", "--move", target)
    assert done.returncode == 1
    assert "Error: --move: " in done.stderr
    assert git(clone, "status", "--porcelain") == before
    assert (clone / "inventory.py").read_text() == HOSTS


def test_a_clone_as_it_was_shipped_has_nothing_to_move(shipped: Path, tmp_path: Path) -> None:
    with pytest.raises(MoveError, match="has no fleet"):
        moving.planned(shipped, tmp_path / "fleet")


LOSING = """
import pyinfra_cli, sys
from pathlib import Path
from signalbox.init import moving
moving.differing = lambda *_: {}
try:
    moving.carried_out(moving.planned(Path(sys.argv[1]), Path(sys.argv[2])))
except moving.MoveError as error:
    print(error)
"""


def test_a_setting_that_would_be_lost_stops_it(clone: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-c", LOSING, str(clone), str(tmp_path / "fleet")]  # pyinfra patches the process
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert "@fake/box1: gateway.port would be another there; nothing was changed" in done.stdout, done.stderr
    assert not (tmp_path / "fleet").exists()
    assert (clone / "inventory.py").read_text() == HOSTS
    assert [path.name for path in tmp_path.iterdir()] == ["signalbox"]


@pytest.mark.parametrize(
    ("mine", "differs"),
    [
        ({"gateway": {"port": 1, "user": "g"}}, {}),
        ({"gateway": {"port": 2, "user": "g"}}, {"gateway": {"port": 2}}),
        ({"gateway": {"port": 1, "user": "g", "more": []}}, {"gateway": {"more": []}}),
        ({"lanes": {"a": {"x": 1}}}, {"lanes": {"b": {"enabled": False}}}),
        ({"lanes": {"a": {"x": 1}, "b": {"x": 3}, "c": {}}}, {"lanes": {"b": {"x": 3}, "c": {}}}),
        ({"own": [1]}, {"own": [1]}),
    ],
)  # fmt: skip
def test_only_what_differs_is_written(mine: dict[str, object], differs: dict[str, object]) -> None:
    base = {"gateway": {"port": 1, "user": "g"}, "lanes": {"a": {"x": 1}, "b": {"x": 2}}}
    assert differing(base, {**base, **mine}) == differs

"""The guard's half on the host, run in a real shell: cut at any moment, it ends with the change kept or taken back."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from signalbox.desired.render import render

Guard = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    directory = tmp_path / "guard"
    directory.mkdir()
    return directory


@pytest.fixture
def guard(tmp_path: Path, state: Path) -> Guard:
    """Run the guard with its state here, and a systemctl that only tells what it was asked."""
    program = tmp_path / "program"
    program.write_text(render("guard/guard", state=state))
    fake = tmp_path / "bin" / "systemctl"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    fake.chmod(0o755)

    def run(*words: str, undo: str = "", keep: str = "true", before: str = "") -> subprocess.CompletedProcess[str]:
        path = f"{fake.parent}:{os.environ['PATH']}"
        line = ["sh", "-c", f'{before}exec sh "$@"', "sh", str(program), *words]
        environment = {"PATH": path, "KEEP": keep}
        return subprocess.run(
            line, input=undo, env=environment, capture_output=True, text=True, check=False, timeout=20
        )

    return run


@pytest.fixture
def changed(tmp_path: Path, guard: Guard) -> tuple[Path, Path]:
    """A file that a guarded change has replaced, and one that it has made."""
    old, new = tmp_path / "old file", tmp_path / "new"
    old.write_text("before")
    old.chmod(0o640)
    told = guard(
        "arm", "a change", str(old), str(new), keep="echo kept > needed", undo=f"cat needed > {tmp_path}/undone\n"
    )
    assert told.returncode == 0, told.stderr
    old.write_text("after")
    new.write_text("after")
    return old, new


def as_before(old: Path, new: Path) -> bool:
    return old.read_text() == "before" and old.stat().st_mode & 0o777 == 0o640 and not new.exists()


def test_what_is_not_confirmed_is_taken_back(
    tmp_path: Path, state: Path, guard: Guard, changed: tuple[Path, Path]
) -> None:
    assert "restart signalbox-guard.timer" in (tmp_path / "asked").read_text()
    assert not as_before(*changed)
    assert guard("restore").returncode == 0
    assert as_before(*changed)
    assert (tmp_path / "undone").read_text() == "kept\n"
    assert "the change of a change was taken back" in (state / "restored").read_text()
    assert sorted(each.name for each in state.iterdir()) == ["restored"]


def test_what_is_confirmed_stays(state: Path, guard: Guard, changed: tuple[Path, Path]) -> None:
    assert guard("confirm").returncode == 0
    assert guard("restore").returncode == 0  # a timer that fires all the same
    assert changed[0].read_text() == "after"
    assert list(state.iterdir()) == []


def test_a_confirmation_that_comes_too_late_says_so(guard: Guard, changed: tuple[Path, Path]) -> None:
    guard("restore")
    told = guard("confirm")
    assert told.returncode == 1
    assert "too late: the change of a change was taken back" in told.stderr
    assert as_before(*changed)


def test_a_second_change_waits_for_the_first(state: Path, guard: Guard, changed: tuple[Path, Path]) -> None:
    for waiting in ("armed", "restoring"):
        told = guard("arm", "another", str(changed[0]))
        assert told.returncode == 1, waiting
        assert "another change waits to be confirmed: a change" in told.stderr
        if waiting == "armed":
            (state / "armed").rename(state / "restoring")
    assert guard("restore").returncode == 0
    assert as_before(*changed)


@pytest.mark.parametrize("moment", ["before a file", "between files", "after all files"])
def test_cut_while_it_restores_it_ends_that_at_the_next_start(
    moment: str, state: Path, guard: Guard, changed: tuple[Path, Path]
) -> None:
    (state / "armed").rename(state / "restoring")
    if moment != "before a file":
        changed[0].unlink()
    if moment == "after all files":
        changed[1].unlink()
    assert guard("restore").returncode == 0
    assert as_before(*changed)
    assert not (state / "restoring").exists()


def test_an_arming_that_was_cut_is_none(state: Path, guard: Guard, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    (state / "arming").mkdir()
    (state / "arming" / "paths").write_text(f"{path}\n")
    assert guard("restore").returncode == 0
    assert path.read_text() == "before"
    assert guard("arm", "a change", str(path)).returncode == 0
    assert guard("confirm").returncode == 0


@pytest.mark.parametrize("broken", ["the disk is full", "what undo needs cannot be read"])
def test_what_cannot_be_armed_is_not_changed(broken: str, state: Path, guard: Guard, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x" * 100_000)
    if broken == "the disk is full":
        told = guard("arm", "a change", str(path), before="ulimit -f 64; trap '' XFSZ; ")
    else:
        told = guard("arm", "a change", str(path), keep="cat /no/such/file > needed")
    assert told.returncode != 0
    assert not (state / "armed").exists()
    assert path.read_text() == "x" * 100_000
    assert guard("restore").returncode == 0
    assert path.read_text() == "x" * 100_000


def test_what_cannot_be_undone_is_said_and_the_files_are_back(guard: Guard, tmp_path: Path, state: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    assert guard("arm", "a change", str(path), undo="false\n").returncode == 0
    path.write_text("after")
    told = guard("restore")
    assert "not all of it could be undone" in told.stderr
    assert path.read_text() == "before"
    assert not (state / "restoring").exists()

"""The shell that holds a host's lock, run here: what it says, when it lets go, and what it leaves in the log."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyinfra.api.exceptions import FactProcessError

from signalbox.engine import lock
from signalbox.engine.lock import Owner, holder
from signalbox.facts.lock import LockOwner

ANN = Owner("ann@laptop", "it's an upgrade", "1", "noon", "night")
WORD = "0123"
UNFINISHED = '{"who": "ann", "said": "it\'s over", "result": "interrupted"}'


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lock, "PATH", str(tmp_path / "run" / "deploy.lock"))
    monkeypatch.setattr("signalbox.facts.lock.PATH", str(tmp_path / "run" / "deploy.lock"))
    monkeypatch.setattr(lock, "LOG", str(tmp_path / "log" / "deploys.jsonl"))
    return tmp_path


@contextmanager
def shell(wait: int = 0, expires: int = 60) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        ["sh", "-c", holder(ANN, UNFINISHED, wait, expires, WORD)],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    lines = filter(str.strip, iter(process.stdout.readline, ""))  # each on a line of its own, behind an empty one
    word, _, said = next(lines, "").strip().partition(" ")
    assert word == WORD
    return said


def ended(process: subprocess.Popen[str], line: str = "") -> str:
    return process.communicate(line, timeout=10)[0]


def log(place: Path) -> list[str]:
    return (place / "log" / "deploys.jsonl").read_text().splitlines()


def test_the_line_that_releases_it_is_the_record(place: Path) -> None:
    with shell() as first:
        assert said(first).startswith("taken ")
        held = Owner.read((place / "run" / "deploy.lock").read_text())
        assert (held.who, held.reason, held.pid) == (ANN.who, ANN.reason, first.pid)
        with shell() as second:
            told = [said(second), said(second)]
        assert [Owner.read(line.partition(" ")[2]) for line in told] == [held, held]
        assert [line.partition(" ")[0] for line in told] == ["waiting", "busy"]
        assert ended(first, '{"result": "changed"}\n') == f"\n{WORD} released\n"
    assert log(place) == ['{"result": "changed"}']
    with shell() as third:
        assert said(third).startswith("taken ")


def test_the_fact_tells_who_has_it_whatever_a_shell_greets_with() -> None:
    def told() -> Owner | None:
        command = ["sh", "-c", f"echo '[motd] hello'; {LockOwner().command()}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return LockOwner().process(done.stdout.splitlines())

    assert told() is None
    with shell() as first:
        assert said(first).startswith("taken ")
        owner = told()
        assert owner
        assert (owner.who, owner.pid) == (ANN.who, first.pid)
    assert told() is None
    with pytest.raises(FactProcessError):
        LockOwner().process(["hello"])


def test_a_run_that_is_gone_is_recorded_as_unfinished(place: Path) -> None:
    with shell() as process:
        assert said(process).startswith("taken ")
        assert ended(process) == f"\n{WORD} released\n"
    assert [json.loads(line)["result"] for line in log(place)] == ["interrupted"]


def test_a_run_whose_time_is_over_loses_it(place: Path) -> None:
    with shell(expires=1) as process:
        assert said(process).startswith("taken ")
        assert said(process) == "released"  # by itself
    assert log(place) == [UNFINISHED]


def test_between_two_owners_nobody_is_named_and_the_next_line_is_of_the_lock(place: Path) -> None:
    with shell() as first:
        assert said(first).startswith("taken ")
        (place / "run" / "deploy.lock").write_text("")  # as it is just before the lock is let go
        with shell(wait=20) as second:
            assert said(second) == "waiting"
            ended(first)
            assert said(second).startswith("taken ")


def test_a_log_that_is_long_begins_anew(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_LOG_BYTES", 10)
    for result in ("first", "second"):
        with shell() as process:
            assert said(process).startswith("taken ")
            ended(process, f'{{"result": "{result}"}}\n')
    assert log(place) == ['{"result": "second"}']
    assert (place / "log" / "deploys.jsonl.1").read_text() == '{"result": "first"}\n'


def test_it_tells_for_how_long_nobody_had_it(place: Path) -> None:
    def quiet() -> int:
        with shell() as process:
            word, milliseconds = said(process).split()
            assert word == "taken"
            ended(process, "{}\n")
        return int(milliseconds)

    year = 365 * 86_400_000
    assert quiet() > year, "a host that has just started has had no owner"
    assert 0 <= quiet() < 10_000, "it ended a moment ago"
    os.utime(place / "run" / "deploy.lock", (time.time() - 3600,) * 2)
    assert 3_600_000 <= quiet() < 3_700_000

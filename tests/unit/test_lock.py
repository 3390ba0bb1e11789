"""The shell that holds a host's lock, run here: what it says, when it lets go, and what it leaves in the log."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from signalbox import lock
from signalbox.lock import Owner, holder

ANN = Owner("ann@laptop", "it's an upgrade", "1", "noon", "night")
UNFINISHED = '{"who": "ann", "said": "it\'s over", "result": "interrupted"}'


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lock, "PATH", str(tmp_path / "run" / "deploy.lock"))
    monkeypatch.setattr(lock, "LOG", str(tmp_path / "log" / "deploys.jsonl"))
    return tmp_path


@contextmanager
def shell(wait: int = 0, expires: int = 60) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        ["sh", "-c", holder(ANN, UNFINISHED, wait, expires)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ended(process: subprocess.Popen[str], line: str = "") -> str:
    return process.communicate(line, timeout=10)[0]


def log(place: Path) -> list[str]:
    return (place / "log" / "deploys.jsonl").read_text().splitlines()


def test_the_line_that_releases_it_is_the_record(place: Path) -> None:
    with shell() as first:
        assert said(first) == "taken"
        held = Owner.read((place / "run" / "deploy.lock").read_text())
        assert (held.who, held.reason, held.pid) == (ANN.who, ANN.reason, first.pid)
        with shell() as second:
            told = [said(second), said(second)]
        assert [Owner.read(line.partition(" ")[2]) for line in told] == [held, held]
        assert [line.partition(" ")[0] for line in told] == ["waiting", "busy"]
        assert ended(first, '{"result": "changed"}\n') == "released\n"
    assert log(place) == ['{"result": "changed"}']
    with shell() as third:
        assert said(third) == "taken"


def test_a_run_that_is_gone_is_recorded_as_unfinished(place: Path) -> None:
    with shell() as process:
        assert said(process) == "taken"
        assert ended(process) == "released\n"
    assert [json.loads(line)["result"] for line in log(place)] == ["interrupted"]


def test_a_run_whose_time_is_over_loses_it(place: Path) -> None:
    with shell(expires=1) as process:
        assert said(process) == "taken"
        assert said(process) == "released"  # by itself
    assert log(place) == [UNFINISHED]


def test_between_two_owners_nobody_is_named_and_the_next_line_is_of_the_lock(place: Path) -> None:
    with shell() as first:
        assert said(first) == "taken"
        (place / "run" / "deploy.lock").write_text("")  # as it is just before the lock is let go
        with shell(wait=20) as second:
            assert said(second) == "waiting"
            ended(first)
            assert said(second) == "taken"


def test_a_log_that_is_long_begins_anew(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_LOG_BYTES", 10)
    for result in ("first", "second"):
        with shell() as process:
            assert said(process) == "taken"
            ended(process, f'{{"result": "{result}"}}\n')
    assert log(place) == ['{"result": "second"}']
    assert (place / "log" / "deploys.jsonl.1").read_text() == '{"result": "first"}\n'

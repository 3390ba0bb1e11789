"""What the controller keeps of deploys: their records, those of killed runs too, and `signalbox history`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from signalbox.commands.history import history as command
from signalbox.engine import deploy_scope, history

PROJECT = Path(__file__).resolve().parents[2]
KILLED = """
import os, sys
from signalbox.engine import history
history.begin(sys.argv[1], [{"run": sys.argv[1], "host": "box1", "result": "interrupted", "changed": None}])
os.kill(os.getpid(), 9)
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "signalbox"


def record(run: str, host: str = "box1", **more: Any) -> history.Record:
    return {"run": run, "host": host, "result": "changed", "changed": ["one", "two"], **more}


def deployed(run: str, *hosts: str) -> None:
    running = history.begin(run, [record(run, host, result="interrupted", changed=None) for host in hosts])
    history.end(running, [record(run, host) for host in hosts])


def runs() -> list[tuple[str, str]]:
    return [(each["run"], each["result"]) for each in history.read()]


def test_a_run_leaves_what_it_ended_with() -> None:
    deployed("1", "box1", "box2")
    assert [(each["run"], each["host"], each["result"]) for each in history.read()] == [
        ("1", "box1", "changed"),
        ("1", "box2", "changed"),
    ]


def test_a_run_that_was_killed_is_told_as_interrupted_once_and_one_that_runs_is_not() -> None:
    subprocess.run([sys.executable, "-c", KILLED, "dead"], cwd=PROJECT, check=False)
    running = history.begin("alive", [record("alive", result="interrupted")])
    assert runs() == [("dead", "interrupted")]
    assert runs() == [("dead", "interrupted")]
    history.end(running, [record("alive")])
    assert runs() == [("dead", "interrupted"), ("alive", "changed")]


def test_a_history_that_is_long_begins_anew(monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
    monkeypatch.setattr(history, "_BYTES", 10)
    for run in ("1", "2", "3"):
        deployed(run, "box1")
    assert [run for run, _ in runs()] == ["2", "3"]
    assert {path.name for path in state.glob("history*")} == {"history.jsonl", "history.jsonl.1"}


def test_it_is_shown_by_host_the_newest_last(state: Path) -> None:
    for run, host in (("1", "box1"), ("2", "other"), ("3", "box2")):
        deployed(run, host)
    (state / "running" / "4.jsonl").write_text(json.dumps(record("4", "box3", result="interrupted", changed=None)))
    with (state / "history.jsonl").open("a") as file:
        file.write('{"run": "cut o\n')
    shown = CliRunner().invoke(command, ["--json", "--host", "box*", "-n", "2"])
    assert [each["run"] for each in json.loads(shown.stdout)] == ["3", "4"]
    table = CliRunner().invoke(command, []).stdout.splitlines()
    assert [line.split()[0] for line in table[1:]] == ["box1", "other", "box2", "box3"], table
    assert table[1].split()[1:] == ["changed", "2"]
    assert table[-1].split()[1:] == ["interrupted"]


def test_without_git_a_deploy_has_no_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    deploy_scope._checked_out.cache_clear()
    assert deploy_scope.commit() == ""
    assert deploy_scope.code() == ""
    deploy_scope._checked_out.cache_clear()

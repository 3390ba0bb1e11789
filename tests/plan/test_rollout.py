"""`signalbox rollout` over simulated hosts: the order, the stops, and what is left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from signalbox.rollout.progress import divided
from signalbox.rollout.roll import short
from tests.plan.simulated import PROJECT
from tests.plan.test_plan_command import DEPLOY

NAMES = [f"@fake/h{number}" for number in range(1, 7)]


class Fleet:
    """Six simulated hosts; those in `failing` refuse the one command of the deploy."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        # Each host leaves a mark on the controller when it is deployed to.
        (directory / "deploy.py").write_text(
            DEPLOY
            + """
from pathlib import Path
from pyinfra.operations import python
def mark(): Path(f"{host.name.replace('/', '_')}.mark").touch()
word(name="the word is yes", wanted="yes")
if host.state.check_for_changes is False:
    python.call(name="a mark is left", function=mark)
"""
        )
        self.failing()

    def failing(self, *names: str, **settings: dict[str, Any]) -> None:
        """Write the inventory: these hosts fail, and those named by their last word have these settings."""
        hosts = []
        for name in NAMES:
            answer: Any = {"success": False, "stderr": "E: no"} if name in names else "yes"
            fake = {"fake_delay": 0, "fake_delay_jitter": 0, "fake_responses": {"say a word": answer}}
            hosts.append((name, {**fake, **settings.get(name.rpartition("/")[2], {})}))
        (self.directory / "inventory.py").write_text(f"boxes = {hosts!r}\n")

    def forget(self) -> None:
        for mark in self.directory.glob("*.mark"):
            mark.unlink()

    def rollout(self, *arguments: str) -> tuple[int, dict[str, str], str]:
        """Roll out; returns the exit status, each host's state, and what was told on the way."""
        done = subprocess.run(
            [sys.executable, "-c", "from signalbox.cli import main; main()", "rollout", "--no-verify", "--json",
             *arguments],
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(PROJECT), "XDG_STATE_HOME": str(self.directory / "state")},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )  # fmt: skip
        states = {each["host"]: each["state"] for each in json.loads(done.stdout)["hosts"]} if done.stdout else {}
        return done.returncode, states, done.stderr

    def touched(self) -> list[str]:
        return sorted(path.stem.replace("_", "/") for path in self.directory.glob("*.mark"))


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def test_all_is_well(fleet: Fleet) -> None:
    status, states, told = fleet.rollout("--wave", "2", "--canary", "*/h3")
    assert (status, set(states.values())) == (0, {"done"})
    assert fleet.touched() == NAMES
    waves = [line for line in told.splitlines() if line.startswith(("canaries:", "wave "))]
    assert waves == ["canaries: @fake/h3", "wave 1: @fake/h1, @fake/h2", "wave 2: @fake/h4, @fake/h5",
                     "wave 3: @fake/h6"]  # fmt: skip


def test_a_canary_that_fails_stops_all(fleet: Fleet) -> None:
    fleet.failing("@fake/h1")
    status, states, told = fleet.rollout("--max-failures", "5")
    assert status == 1
    assert states == {"@fake/h1": "failed", **dict.fromkeys(NAMES[1:], "waiting")}
    assert fleet.touched() == []
    assert "a canary failed" in told


def test_a_wave_that_fails_stops_the_next_and_resuming_goes_on_there(fleet: Fleet) -> None:
    fleet.failing("@fake/h4")
    status, states, told = fleet.rollout("--wave", "2")
    assert (status, states["@fake/h4"], states["@fake/h6"]) == (1, "failed", "waiting")
    assert fleet.touched() == [name for name in NAMES if name not in ("@fake/h4", "@fake/h6")]
    assert "stopped after wave 2: 1 failed, 0 may (@fake/h4)" in told
    fleet.failing()
    fleet.forget()
    status, states, _ = fleet.rollout("--wave", "2", "--resume")
    assert (status, set(states.values())) == (0, {"done"})
    assert fleet.touched() == ["@fake/h4", "@fake/h6"]  # the others were done


def test_who_was_done_with_other_settings_or_code_is_not_done(fleet: Fleet) -> None:
    def resumed() -> list[str]:
        fleet.forget()
        status, states, told = fleet.rollout("--resume")
        assert (status, set(states.values())) == (0, {"done"}), told
        return fleet.touched()

    assert fleet.rollout()[0] == 0
    assert resumed() == []
    fleet.failing(h2={"gateway": {"port": 4001}})
    assert resumed() == ["@fake/h2"]
    fleet.failing(h2={"gateway": {"port": 4001}}, h5={"lock": {"reason": "no part of what a host has"}})
    assert resumed() == []
    git = ["git", "-c", "user.name=ops", "-c", "user.email=ops@example.org"]
    for words in (["init", "-q"], ["add", "deploy.py"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], cwd=fleet.directory, check=True)
    assert resumed() == NAMES
    assert resumed() == []
    for _ in range(2):  # two states that are not committed are not the same
        with (fleet.directory / "deploy.py").open("a") as file:
            file.write("# another\n")
        assert resumed() == NAMES
    assert resumed() == []


def test_what_had_other_hosts_is_not_resumed(fleet: Fleet) -> None:
    assert fleet.rollout()[0] == 0
    path = fleet.directory / "inventory.py"
    path.write_text(path.read_text().replace("@fake/h6", "@fake/h7"))
    fleet.forget()
    status, _, told = fleet.rollout("--resume")
    assert status == 1
    assert "had other hosts (@fake/h6, @fake/h7)" in told
    assert fleet.touched() == []


def test_failures_below_the_threshold_do_not_stop_it(fleet: Fleet) -> None:
    fleet.failing("@fake/h2")
    status, states, _ = fleet.rollout("--wave", "1", "--max-failures", "1")
    assert status == 1  # not all are done
    assert states == {**dict.fromkeys(NAMES, "done"), "@fake/h2": "failed"}


def test_wrong_words_are_refused_before_anything(fleet: Fleet) -> None:
    for arguments, words in (
        (["--canary", "h9"], "no selected host is called h9"),
        (["--wave", "many"], "is no size of a wave"),
        (["--limit", "h9"], "No host matches found"),
        (["--resume"], "no rollout of this inventory to resume"),
    ):
        status, _, told = fleet.rollout(*arguments)
        assert status != 0
        assert words in told
    assert fleet.touched() == []


def test_waves_by_part() -> None:
    waves = divided([str(number) for number in range(20)], ["0"], "25%")
    assert [each.wave for each in waves.values()] == [0] + [1] * 5 + [2] * 5 + [3] * 5 + [4] * 4


def test_a_reason_is_one_line() -> None:
    assert short([]) == ""
    assert short(["", "Could not connect", "Could not connect"]) == "Could not connect"
    assert short(["one\n two", "three", "four"]) == "one two (and 2 more)"
    assert short(["x" * 300]) == "x" * 199 + "…"

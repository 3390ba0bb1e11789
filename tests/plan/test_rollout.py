"""`signalbox rollout` over simulated hosts: the order, the stops, and what is left alone."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from signalbox.engine.watching import display
from signalbox.fleet.rollout.progress import Progress, divided
from signalbox.fleet.rollout.roll import short
from tests.good_settings import GOOD
from tests.plan.simulated import PROJECT, SECRETS
from tests.plan.test_plan_command import DEPLOY

pytestmark = pytest.mark.slow

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
            [sys.executable, "-c", "from signalbox.commands.cli import main; main()", "rollout", "--no-verify",
             "--json", *arguments],
            cwd=self.directory,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )  # fmt: skip
        states = {each["host"]: each["state"] for each in json.loads(done.stdout)["hosts"]} if done.stdout else {}
        return done.returncode, states, done.stderr

    def environment(self) -> dict[str, str]:
        state = str(self.directory / "state")
        return {**os.environ, **SECRETS, "PYTHONPATH": str(PROJECT), "XDG_STATE_HOME": state}

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
    status, states, _ = fleet.rollout("--resume")
    assert (status, set(states.values())) == (0, {"done"})
    assert fleet.touched() == ["@fake/h4", "@fake/h6"]  # the others were done


@pytest.mark.slow
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


@pytest.mark.slow
def test_wrong_words_are_refused_before_anything(fleet: Fleet) -> None:
    for arguments, words in (
        (["--canary", "h9"], "no selected host is called h9"),
        (["--wave", "many"], "is no size of a wave"),
        (["--limit", "h9"], "No host matches found"),
        (["--resume"], "no rollout of this inventory to resume"),
        (["--resume", "--wave", "2"], "its canaries and waves are those of the rollout"),
    ):
        status, _, told = fleet.rollout(*arguments)
        assert status != 0
        assert words in told
    assert fleet.touched() == []


def test_a_canary_is_named_as_pyinfra_names_hosts(fleet: Fleet) -> None:
    path = fleet.directory / "inventory.py"
    path.write_text(f"{path.read_text()}first = boxes[2:4]\n")
    status, states, told = fleet.rollout("--canary", "first", "--wave", "4", "--serial", "--fail-percent", "50")
    assert (status, set(states.values())) == (0, {"done"}), told
    assert "canaries: @fake/h3, @fake/h4" in told.splitlines()


def test_a_host_and_a_group_of_one_name_are_refused_unless_they_are_the_same(fleet: Fleet) -> None:
    path = fleet.directory / "inventory.py"
    path.write_text(f"{path.read_text().replace('@fake/h1', '@local')}globals()['@local'] = boxes[3:]\n")
    status, _, told = fleet.rollout()
    assert status == 1
    assert "@local is the name of a host, and of a group with others in it" in told
    assert fleet.touched() == []


def test_a_host_that_the_inventory_loses_on_the_way_fails_alone(fleet: Fleet) -> None:
    with (fleet.directory / "inventory.py").open("a") as file:
        file.write(
            "import os\nif os.path.exists('@fake_h1.mark'): boxes = [each for each in boxes if 'h3' not in each[0]]\n"
        )
    status, states, told = fleet.rollout("--wave", "2")
    assert (status, states["@fake/h2"], states["@fake/h3"], states["@fake/h4"]) == (1, "done", "failed", "waiting")
    assert "@fake/h3: failed (the inventory does not hold it any more)" in told


class OurFleet(Fleet):
    """Hosts with settings of ours. Those with the gateway on port 4001 get something, and then fail."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        (directory / "group_data").mkdir()
        shutil.copy(PROJECT / "group_data" / "all.py", directory / "group_data")
        with (directory / "deploy.py").open("a") as file:
            file.write(
                """
    from pyinfra.operations import server
    from signalbox.settings import settings_for
    server.shell(name="it is done", commands=[f"do it on {settings_for(host).gateway.port}"])
"""
            )

    def ports(self, **ports: int) -> None:
        """Write the inventory: these hosts, by their last word, have another port."""
        hosts = []
        for name in NAMES[:3]:
            answers = {"say a word": "yes", "do it on 4001": {"success": False, "stderr": "E: no"}}
            port = ports.get(name.rpartition("/")[2], 4000)
            fake = {"fake_delay": 0, "fake_delay_jitter": 0, "fake_responses": answers}
            hosts.append((name, {**GOOD, **fake, "gateway": {"port": port}}))
        (self.directory / "inventory.py").write_text(f"boxes = {hosts!r}\n")

    def deploy(self, name: str) -> None:
        """Deploy as pyinfra does."""
        subprocess.run(
            [sys.executable, "-m", "pyinfra", "inventory.py", "deploy.py", "-y", "--limit", name],
            cwd=self.directory, env=self.environment(), capture_output=True, timeout=120, check=True,
        )  # fmt: skip

    def details(self) -> dict[str, tuple[str, str]]:
        """Return what the last rollout keeps of each host: what it has, and why."""
        (path,) = (self.directory / "state/signalbox/rollouts").glob("*.json")
        hosts = json.loads(path.read_text())["hosts"]
        return {host: (each["commit"], each["detail"]) for host, each in hosts.items()}


@pytest.fixture
def ours(tmp_path: Path) -> OurFleet:
    return OurFleet(tmp_path)


@pytest.mark.slow
def test_a_host_that_was_changed_is_put_back_unless_it_had_other_settings_since(ours: OurFleet) -> None:
    h1, h2, h3 = NAMES[:3]
    git = ["git", "-c", "user.name=ops", "-c", "user.email=ops@example.org"]
    for words in (["init", "-q"], ["add", "deploy.py"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], cwd=ours.directory, check=True)
    commit = subprocess.run(["git", "describe", "--always", "--abbrev=12"], cwd=ours.directory, check=True,
                            capture_output=True, text=True).stdout.strip()  # fmt: skip
    ours.ports()
    assert ours.rollout("--limit", h2)[0] == 0
    ours.ports(h2=4001)
    status, states, told = ours.rollout("--wave", "1")
    assert (status, states) == (1, {h1: "done", h2: "put back", h3: "waiting"}), told
    details = ours.details()
    assert details[h2] == (commit, f"settings of {commit} again, since it is done: E: no"), details
    assert details[h3][0] == "", "nothing was deployed there"
    ours.ports(h2=4002)
    ours.deploy(h2)
    ours.ports(h2=4001)
    status, states, told = ours.rollout("--limit", h2)
    assert (status, states) == (1, {h2: "failed"}), told
    assert "not put back: it was deployed to with other settings after those of" in told
    assert ours.details()[h2][0] == f"part of {commit}"


@pytest.mark.slow
def test_a_host_on_which_nothing_was_done_is_left_as_it_is(ours: OurFleet) -> None:
    ours.ports()
    assert ours.rollout()[0] == 0
    ours.forget()
    path = ours.directory / "inventory.py"
    path.write_text(path.read_text().replace("'say a word': 'yes'", "'say a word': {'success': False}"))
    status, states, told = ours.rollout("--limit", NAMES[0])
    assert (status, states) == (1, {NAMES[0]: "failed"}), told
    assert "putting back" not in told
    assert ours.touched() == []


@pytest.mark.slow
def test_what_another_inventory_had_on_a_host_of_that_name_is_nothing_to_go_back_to(ours: OurFleet) -> None:
    ours.ports()
    assert ours.rollout("--limit", NAMES[1])[0] == 0
    ours.ports(h2=4001)
    (ours.directory / "inventory.py").rename(ours.directory / "other.py")
    status, states, told = ours.rollout("other.py", "--limit", NAMES[1])
    assert (status, states) == (1, {NAMES[1]: "failed"}), told
    assert "there is no verified rollout of it to go back to" in told


def test_wrong_settings_of_the_last_host_are_told_before_the_first_is_touched(ours: OurFleet) -> None:
    ours.ports(h3=70000)
    status, states, told = ours.rollout("--wave", "1")
    assert (status, states) == (1, {})
    assert "@fake/h3: gateway.port" in told
    assert ours.touched() == []


def test_waves_by_part() -> None:
    waves = divided([str(number) for number in range(20)], ["0"], "25%")
    assert [each.wave for each in waves.values()] == [0] + [1] * 5 + [2] * 5 + [3] * 5 + [4] * 4


def test_on_a_terminal_the_present_wave_is_seen_however_many_hosts_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = import_module("signalbox.commands.rollout")  # whose function has the module's name
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=100, height=24, color_system=None)
    monkeypatch.setattr(display, "watching", lambda: console)
    monkeypatch.setattr(display, "is_live", lambda: True)
    progress = Progress(tmp_path / "one.json", {}, divided([f"h{number:02}" for number in range(60)], ["h00"], "10"))
    with command._shown(progress) as (step, say):
        for name in ("h00", *(f"h{number:02}" for number in range(1, 31))):
            progress.set(name, "done")
        progress.set("h31", "deploying")
        before = len(shown.getvalue())
        step("h31", "Base", "packages are installed", 9)
        say("waiting up to 60 s")
    last = shown.getvalue()[before:]
    assert re.search(r"h31 +1/9 +0:00 Base +packages are installed", last), last
    assert "31 done, 1 deploying, 28 waiting" in last
    assert "waiting up to 60 s" in last
    assert "h05" not in last


def test_a_reason_is_one_line() -> None:
    assert short([]) == ""
    assert short(["", "Could not connect", "Could not connect"]) == "Could not connect"
    assert short(["one\n two", "three", "four"]) == "one two (and 2 more)"
    assert short(["x" * 300]) == "x" * 199 + "…"

"""`signalbox plan` never says clean of what it has not examined to the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from signalbox.settings.layers import merge
from tests.good_settings import GOOD
from tests.plan.simulated import PROJECT, SECRETS

# The parts of deploy files: a fact, and operations that are at rest or not.
DEPLOY = """
from pyinfra import host
from pyinfra.api import FactBase, operation
from signalbox.engine.changes import differs

class Word(FactBase):
    def command(self): return "say a word"
    default = list
    def process(self, output):
        if output == ["raise"]: raise RuntimeError("the fact is broken")
        return output

@operation()
def word(wanted):
    now = host.get_fact(Word)
    if now == [wanted]:
        host.noop("said")
        return
    differs("word", now[0] if now else None, wanted)
    yield "echo"

"""
SOUND = 'first = word(name="the word is yes", wanted="yes")\n'


class Place:
    """A directory with an inventory and a deploy file, in which plans are made."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.deploy(SOUND)

    def hosts(self, **answers: Any) -> Place:
        """Have these hosts, each with the answer to the one question; a dict is a response of pyinfra's own kind."""
        hosts = [
            (f"@fake/{name}", {"fake_delay": 0, "fake_delay_jitter": 0, "fake_responses": {"say a word": answer}})
            for name, answer in answers.items()
        ]
        return self.inventory(f"boxes = {hosts!r}\n")

    def inventory(self, text: str) -> Place:
        (self.directory / "inventory.py").write_text(text)
        return self

    def deploy(self, text: str) -> Place:
        (self.directory / "deploy.py").write_text(DEPLOY + textwrap.dedent(text))
        return self

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", "from signalbox.commands.cli import main; main()", "plan", *arguments],
            cwd=self.directory,
            env={**os.environ, **SECRETS, "PYTHONPATH": str(PROJECT), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def plan(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **environment)
        stdout, stderr = process.communicate(timeout=60)
        return process.returncode, stdout, stderr


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path).hosts(box="yes")


def test_clean_is_quiet(place: Place) -> None:
    assert place.plan() == (0, "", "")


def test_drift_is_told_by_host_with_from_and_to(place: Place) -> None:
    status, stdout, _ = place.hosts(sound="yes", drifted="no").plan()
    assert status == 2
    assert "@fake/drifted: drift" in stdout
    assert "will change: the word is yes" in stdout
    assert "word: no → yes" in stdout
    assert "@fake/sound" not in stdout


def test_json_says_the_same(place: Place) -> None:
    status, stdout, stderr = place.hosts(sound="yes", drifted="no").plan("--json")
    answer = json.loads(stdout)
    assert (status, answer["schema"], answer["verdict"], answer["problems"], stderr) == (2, 1, "drift", [], "")
    change = {"task": "", "operation": "the word is yes", "certainty": "will", "because": []}
    assert answer["hosts"] == [
        {"host": "@fake/drifted", "verdict": "drift", "operations": 1, "problems": [], "warnings": [], "remarks": [],
         "changes": [{**change, "differences": ["word: no → yes"]}]},
        {"host": "@fake/sound", "verdict": "clean", "operations": 1, "problems": [], "warnings": [], "remarks": [],
         "changes": []},
    ]  # fmt: skip


def test_a_remark_is_no_drift_and_is_told_with_v(place: Place) -> None:
    place.deploy(SOUND + "from signalbox.engine.outcome import remark\nremark('the word is old')\n")
    assert place.plan() == (0, "", "")
    status, stdout, _ = place.plan("-v")
    assert (status, stdout) == (0, "@fake/box: clean\n  remark: the word is old\n")
    (host,) = json.loads(place.plan("--json")[1])["hosts"]
    assert (host["verdict"], host["remarks"], host["warnings"]) == ("clean", ["the word is old"], [])


def test_a_model_that_nothing_certifies_is_a_remark(place: Place) -> None:
    data = merge({**GOOD, "fake_delay": 0, "fake_delay_jitter": 0}, {})
    place.inventory(f"boxes = {[('@fake/box', data)]!r}\n")
    for name in ("deploy.py", "group_data"):
        (place.directory / name).unlink(missing_ok=True)
        (place.directory / name).symlink_to(PROJECT / name)
    (host,) = json.loads(place.plan("--json")[1])["hosts"]
    assert [words for words in host["remarks"] if "is not certified" in words], host
    model = str(GOOD["backends"]["lmstudio"]["models"]["local"]["id"])
    (place.directory / "certified").mkdir()
    report = {
        "kind": "lm_studio", "model": model, "date": "2026-11-01", "verdict": "certified", "context": 65536,
    }  # fmt: skip
    (place.directory / "certified" / "lm_studio.json").write_text(json.dumps(report))
    (host,) = json.loads(place.plan("--json")[1])["hosts"]
    assert not [words for words in host["remarks"] if model in words], host


def test_junit_counts_what_it_holds(place: Place) -> None:
    place.hosts(sound="yes", drifted="no", broken={"success": False, "stderr": "E: no"}).plan("--junit", "plan.xml")
    suites = ElementTree.parse(place.directory / "plan.xml").getroot()  # noqa: S314 (just written)
    counted = {suite.get("name"): (suite.get("failures"), suite.get("errors")) for suite in suites}
    assert counted == {"@fake/broken": ("0", "1"), "@fake/drifted": ("1", "0"), "@fake/sound": ("0", "0")}
    for suite in suites:
        assert suite.get("tests") == str(len(suite.findall("testcase")))
        assert suite.get("failures") == str(len(suite.findall("testcase/failure")))
        assert suite.get("errors") == str(len(suite.findall("testcase/error")))


def test_what_waits_for_another_operation_is_apart(place: Place) -> None:
    place.deploy(
        """
        first = word(name="the word is yes", wanted="yes")
        other = word(name="the other word is no", wanted="no")
        word(name="follows the first", wanted="never", _if=first.did_change)
        word(name="follows the other", wanted="never", _if=other.did_change)
        """
    )
    status, stdout, _ = place.plan("--json")
    (host,) = json.loads(stdout)["hosts"]
    told = [(change["operation"], change["certainty"], change["because"]) for change in host["changes"]]
    assert status == 2
    # `follows the first` will not run: the first is at rest.
    assert told == [
        ("the other word is no", "will", []),
        ("follows the other", "may", ["the other word is no"]),
    ]


def test_a_condition_of_the_run_itself_cannot_be_told(place: Place) -> None:
    status, stdout, _ = place.deploy('word(name="who knows", wanted="no", _if=lambda: True)').plan()
    assert status == 1
    assert "cannot tell: who knows" in stdout


def unknown(place: Place, *arguments: str, **environment: str) -> str:
    """Plan; the answer must be unknown. Returns what people are told."""
    status, stdout, stderr = place.plan(*arguments, **environment)
    assert status == 1
    assert "unknown" in stdout, stderr
    return stdout


class TestLies:
    """Each case would exit 0 with `pyinfra --dry`, or end without telling of every host."""

    def test_no_inventory_file(self, place: Place) -> None:
        status, stdout, stderr = place.plan("missing.py")
        assert (status, stdout) == (1, "")
        assert "--inventory: missing.py does not exist" in stderr

    def test_inventory_without_a_host(self, place: Place) -> None:
        assert "no host is selected" in unknown(place.inventory("boxes = []\n"))

    def test_limit_that_selects_nothing(self, place: Place) -> None:
        assert "--limit pattern: bxo" in unknown(place, "--limit", "bxo")

    def test_one_limit_of_two_selects_nothing(self, place: Place) -> None:
        assert "--limit pattern: bxo" in unknown(place, "--limit", "@fake/box", "--limit", "bxo")

    def test_exclude_of_all(self, place: Place) -> None:
        assert "no host is selected" in unknown(place, "--exclude", "@fake/*")

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (("plan", "--limt", "box1"), "No such option"),
            (("plan", "--junit"), "requires an argument"),
            (("pln",), "No such command"),
            (("--limit", "box1", "plan"), "No such option"),
        ],
    )
    def test_wrong_usage_is_no_drift(self, words: tuple[str, ...], told: str) -> None:
        done = subprocess.run(
            [sys.executable, "-c", "from signalbox.commands.cli import cli; cli()", *words],
            cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert told in done.stderr

    def test_no_deploy_file(self, place: Place) -> None:
        assert "No deploy file" in unknown(place, "inventory.py", "missing.py")

    def test_deploy_file_that_is_no_python(self, place: Place) -> None:
        assert "SyntaxError" in unknown(place.deploy("word(\n"))

    def test_deploy_file_without_an_operation(self, place: Place) -> None:
        assert "no operation for this host" in unknown(place.deploy("pass\n"))

    def test_deploy_file_that_raises_for_one_host(self, place: Place) -> None:
        place.deploy(f'{SOUND}if host.name == "@fake/bad": raise RuntimeError("of this host")\n')
        told = unknown(place.hosts(box="yes", bad="yes"))
        assert "RuntimeError: of this host" in told
        assert "@fake/box: unknown" in told  # it may have been in the middle

    def test_a_fact_that_raises(self, place: Place) -> None:
        assert "RuntimeError: the fact is broken" in unknown(place.hosts(box="raise"))

    def test_a_fact_that_fails_on_one_host(self, place: Place) -> None:
        told = unknown(place.hosts(box="yes", bad={"success": False, "stderr": "E: no"}))
        assert "@fake/bad: unknown" in told
        assert "could not load fact" in told
        assert "@fake/box" not in told

    def test_a_fact_that_fails_on_all_hosts(self, place: Place) -> None:
        assert "could not load fact" in unknown(place.hosts(bad={"success": False}))

    def test_a_host_that_is_not_there(self, place: Place) -> None:
        # Nothing listens on port 1 of the loopback.
        place.inventory('boxes = [("127.0.0.1", {"ssh_port": 1})]\n')
        assert "127.0.0.1: unknown" in unknown(place)

    def test_wrong_settings(self, place: Place) -> None:
        (place.directory / "deploy.py").write_text((PROJECT / "deploy.py").read_text())
        place.inventory('boxes = [("@fake/box", {"lanes": {}, "gatewya": {}})]\n')
        assert "gatewya" in unknown(place)

    def test_pyinfra_yes_in_the_environment_hides_no_drift(self, place: Place) -> None:
        status, stdout, _ = place.hosts(box="no").plan(PYINFRA_YES="1")
        assert (status, "the word is yes" in stdout) == (2, True)

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_interrupted(self, place: Place, number: signal.Signals) -> None:
        place.deploy(f'{SOUND}print("half", flush=True)\nopen("half", "w").close()\nimport gevent\ngevent.sleep(600)\n')
        process = place.start()
        try:
            for _ in range(600):
                if (place.directory / "half").exists():
                    break
                signal.sigtimedwait([], 0.1)
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=30)
        finally:
            process.kill()
        assert process.returncode == 1, stderr
        assert "nothing is known" in stderr
        assert not stdout

"""A host that goes wrong goes wrong alone: whole runs of pyinfra over hosts that are this machine's own shells."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from signalbox.settings.layers import DEFAULTS

pytestmark = pytest.mark.slow

PROJECT = DEFAULTS.parents[1]
# Each simulated host has what pyinfra would read from its shell as data; a deploy reads it with a fact.
DEPLOY = """
from pyinfra import host
from pyinfra.api import FactBase, OperationError, operation
from pyinfra.operations import python
import signalbox.settings

class Word(FactBase):
    def command(self): return "say a word"
    default = list
    def process(self, output):
        return {"yes": output, "no": output}[output[0]]

@operation()
def word(wanted):
    if host.get_fact(Word) != [wanted]:
        yield "echo"
    if host.data.get("explodes") and host.state.is_executing:
        raise IndexError("list index out of range")

"""
SOUND = 'word(name="the word is yes", wanted="yes")\n'


@dataclass
class Ran:
    status: int
    out: str
    err: str

    def of(self, name: str) -> list[str]:
        return [line.partition("]")[2].strip() for line in self.err.splitlines() if f"[{name}]" in line]


class Place:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        # What must not be checked here: whether the settings are whole.
        self.program = directory / "program.py"
        self.program.write_text(
            "import pyinfra_cli.cli\nfrom signalbox.engine import hooks\n"
            "hooks.validate_run = hooks._check_secrets = lambda *_: None\n"
            "hooks._AskAhead = type('None', (hooks.BaseStateCallback,), {})\n"
            "import contextlib\nhooks.applied = lambda *_: contextlib.nullcontext()\n"
            "from pyinfra_cli.main import main\nmain()\n"
        )

    def run(self, deploy: str, *arguments: str, **hosts: object) -> Ran:
        entries = []
        for name, answer in hosts.items():
            data = {"fake_delay": 0, "fake_delay_jitter": 0, "fake_responses": {"say a word": answer}}
            if answer == "explodes":
                data |= {"fake_responses": {"say a word": "yes"}, "explodes": True}
            entries.append((f"@fake/{name}", data))
        (self.directory / "inventory.py").write_text(f"boxes = {entries!r}\n")
        (self.directory / "deploy.py").write_text(DEPLOY + textwrap.dedent(deploy))
        done = subprocess.run(
            [sys.executable, str(self.program), "inventory.py", "deploy.py", *arguments],
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(PROJECT), "XDG_STATE_HOME": str(self.directory / "state"),
                 "PYINFRA_PROGRESS": "off"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    def log(self) -> str:
        path = self.directory / "state" / "signalbox" / "errors.log"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_fact_that_nobody_can_read_fails_its_host_by_name_and_the_others_go_on(place: Place) -> None:
    ran = place.run(SOUND, "-y", good="yes", bad="\x1b]0;mine\x07 nonsense")
    assert ran.status == 1
    assert any("cannot be read: KeyError" in line for line in ran.of("@fake/bad"))
    assert "\x1b]" not in ran.err
    assert "nothing changed" in " ".join(ran.of("@fake/good"))
    assert "Traceback" not in ran.err
    assert "KeyError" in place.log()
    assert oct((place.directory / "state/signalbox/errors.log").stat().st_mode & 0o777) == "0o600"


def test_an_operation_whose_errors_are_ignored_does_nothing_to_what_it_has_not_seen(place: Place) -> None:
    """pyinfra would go on with the fact's default, as if nothing were there."""
    ours = "Word.always_answers = True\n"
    ignoring = 'word(name="the word is yes", wanted="yes", _ignore_errors=True)\n'
    ran = place.run(ours + ignoring, "-y", "--json", good="yes", bad="nonsense")
    assert json.loads(ran.out)["results"]["failed_hosts"] == ["@fake/bad"]
    (result,) = json.loads(ran.out)["results"]["operations"]
    assert "@fake/bad" not in result["success"]
    others = json.loads(place.run(ignoring, "-y", "--json", good="yes", bad="nonsense").out)["results"]["operations"]
    assert others[0]["success"] == ["@fake/bad"]  # of a fact that is not ours


def test_the_last_host_ends_the_run_with_one_clear_line(place: Place) -> None:
    ran = place.run(SOUND, "-y", bad="nonsense", worse="noise")
    assert ran.status == 1
    assert "No hosts remaining" not in ran.err
    assert "hooks.py" not in ran.err
    ended = [line for line in ran.err.splitlines() if "the run has ended" in line]
    assert len(ended) == 1
    assert "no host is left" in ended[0]
    assert "@fake/bad" in ended[0]
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("arguments", [("-y",), ("-y", "--serial"), ("-y", "--no-wait")])
def test_an_operation_that_raises_on_one_host_fails_it_alone(place: Place, arguments: tuple[str, ...]) -> None:
    ran = place.run(SOUND + 'word(name="another", wanted="no")\n', *arguments, "--json", good="yes", bad="explodes")
    assert ran.status == 1, ran.err
    results = json.loads(ran.out)["results"]
    assert results["failed_hosts"] == ["@fake/bad"]
    assert all("@fake/bad" not in each["success"] for each in results["operations"])
    assert "@fake/good" in results["operations"][1]["success"]
    assert any("IndexError: list index out of range" in line for line in ran.of("@fake/bad"))
    assert "Traceback" not in ran.err


def test_more_failures_than_may_be_end_a_run_host_by_host(place: Place) -> None:
    ran = place.run(SOUND, "-y", "--serial", "--fail-percent", "0", a="explodes", b="explodes", c="explodes")
    assert ran.status == 1
    assert len(re.findall(r"\[@fake/\w\] failed at 1 of 1", ran.err)) == 1
    assert "IndexError: list index out of range" in ran.err
    assert "Over 0% of hosts failed" in next(line for line in ran.err.splitlines() if "the run has ended" in line)


def test_what_a_deploy_raises_for_one_host_fails_it_alone_and_v_tells_where(place: Place) -> None:
    raises = f'if host.name == "@fake/bad": raise ZeroDivisionError("of this host")\n{SOUND}'
    ran = place.run(raises, "-y", good="yes", bad="yes")
    assert ran.status == 1
    assert any("ZeroDivisionError: of this host" in line for line in ran.of("@fake/bad"))
    assert "errors.log" in ran.err
    assert "Traceback" not in ran.err
    assert "Ready" not in " ".join(ran.of("@fake/bad"))
    assert "Traceback" in place.run(raises, "-y", "-v", good="yes", bad="yes").err


def test_what_a_deploy_foresees_is_told_without_a_traceback(place: Place) -> None:
    raises = f'if host.name == "@fake/bad": raise OperationError("it has no disk")\n{SOUND}'
    ran = place.run(raises, "-y", good="yes", bad="yes")
    assert "it has no disk" in ran.of("@fake/bad")
    assert place.log() == ""


def test_a_refusal_of_a_task_stops_that_host_at_its_next_question(place: Place) -> None:
    refuses = f"""
        from signalbox.engine.outcome import fail
        if host.name == "@fake/bad": fail(["it is too small"])
        print("still asking", host.name)
        {SOUND}
        print("asked", host.name)
        """
    ran = place.run(refuses, "--dry", good="yes", bad="yes")
    assert ran.status == 1
    told = ran.out.splitlines()
    assert {"still asking @fake/good", "asked @fake/good", "still asking @fake/bad"} <= {*told}
    assert "asked @fake/bad" not in told


def test_nobody_at_the_keyboard_is_one_clear_line(place: Place) -> None:
    ran = place.run(SOUND, good="no")
    assert ran.status == 1
    assert "-y goes on unasked" in ran.err
    assert "Traceback" not in ran.err


def test_a_run_that_is_not_ours_is_left_alone(place: Place) -> None:
    deploy = DEPLOY.replace("import signalbox.settings", "")
    raises = 'if host.name == "@fake/bad": raise ZeroDivisionError("of this host")\n'
    text = place.run("pass", "-y", good="yes") and (place.directory / "deploy.py")
    text.write_text(deploy + raises)
    done = subprocess.run(
        [sys.executable, str(place.program), "@fake/bad", "deploy.py", "-y"],
        cwd=place.directory, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "PYINFRA_PROGRESS": "off"},
    )  # fmt: skip
    assert "Traceback" in done.stderr

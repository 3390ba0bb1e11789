"""Whole pyinfra runs over a real SSH connection: the result is the same with and without reading ahead.

The deploy keeps files as it wants them, and a server of this process counts what it is asked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from signalbox.engine.readahead.cache import LONGEST
from signalbox.engine.readahead.question import Question
from signalbox.engine.readahead.record import Record
from signalbox.facts import FirstLine
from tests.readahead.records import WRONG
from tests.readahead.ssh_server import Server

# `here` is the directory of the host's files. Three files are as the deploy wants them, or are made so.
ASKED_AHEAD = f"sh -c 'timeout -k 2 {LONGEST} sh -s; exit'"
DEPLOY = """
from pyinfra import host, local
from pyinfra.api import operation
from pyinfra.facts.server import Command
from pyinfra.operations import python, server
from signalbox.facts import FirstLine

here = host.data.here


@operation()
def line(path, wanted):
    if host.get_fact(FirstLine, path=f"{here}/{path}") != wanted:
        yield f"echo {wanted} > {here}/{path}"


line(name="a", path="a", wanted="one")
line(name="b", path="b", wanted="two")
%s
line(name="c", path="c", wanted="three")
line(name="c again", path="c", wanted="three")
"""


@dataclass
class Site:
    """A deploy, its inventory of hosts on one server, and the state directory of its records."""

    path: Path
    server: Server

    def __post_init__(self) -> None:
        self.here = self.path / "host"
        self.here.mkdir()
        (self.path / "state").mkdir(mode=0o700)
        self.deploy()
        self.hosts("box1")
        self.reset()

    def deploy(self, middle: str = "") -> None:
        (self.path / "deploy.py").write_text(DEPLOY % middle)

    def hosts(self, *names: str) -> None:
        data = {
            "here": str(self.here),
            "ssh_hostname": "127.0.0.1",
            "ssh_port": self.server.port,
            "ssh_user": "someone",
            "ssh_password": "any",
            "ssh_known_hosts_file": str(self.path / "known_hosts"),
            "ssh_strict_host_key_checking": "no",
        }
        (self.path / "inventory.py").write_text(f"hosts = {[(name, data) for name in names]!r}\n")

    def reset(self, **files: str) -> None:
        """Put the host's files back to what the deploy wants, except for these."""
        for path in self.here.iterdir():
            path.unlink()
        for name, content in {"a": "one", "b": "two", "c": "three", **files}.items():
            (self.here / name).write_text(f"{content}\n")

    def run(self, *arguments: str, ahead: bool = True) -> Any:
        """Run pyinfra and return its JSON, and count the commands of this run on the server."""
        self.server.commands.clear()
        environment = {**os.environ, "XDG_STATE_HOME": str(self.path / "state")}
        environment["SIGNALBOX_READ_AHEAD"] = "1" if ahead else "0"
        done = subprocess.run(
            [sys.executable, "-m", "pyinfra", "inventory.py", "deploy.py", *(arguments or ("--dry",)), "--json"],
            cwd=self.path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return json.loads(done.stdout or "{}") | {"status": done.returncode}

    def learn(self) -> None:
        """Leave the record that an unchanged run leaves."""
        self.record.save([head(self.here / name) for name in "abc"])

    @property
    def record(self) -> Record:
        """The record of the deploy on the first host."""
        os.environ["XDG_STATE_HOME"] = str(self.path / "state")
        return Record("box1", str((self.path / "deploy.py").resolve()))

    def asked(self) -> int:
        """How many commands the last run sent."""
        return len(self.server.commands)

    def files(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in sorted(self.here.iterdir())}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    server = Server()
    yield Site(tmp_path, server)
    server.close()


def changes(told: Any) -> list[str]:
    return [each["name"] for each in told["plan"] if each["hosts_with_change"]]


def head(path: Path) -> Question:
    """The question of the fact FirstLine."""
    return Question(str(FirstLine().command(str(path))))


def test_the_second_run_asks_ahead_on_two_channels(site: Site) -> None:
    assert changes(site.run()) == []
    assert site.asked() == 3  # a, b, c: the same fact is asked once
    assert site.record.load() == [head(site.here / name) for name in "abc"]
    site.run()
    assert site.server.commands == [ASKED_AHEAD] * 2
    site.run(ahead=False)
    assert site.asked() == 4


def test_what_changed_on_the_host_between_runs_is_seen(site: Site) -> None:
    site.run()
    site.reset(b="else")
    assert changes(site.run()) == changes(site.run(ahead=False)) == ["b"]
    site.run("-y")
    assert site.files() == {"a": "one\n", "b": "two\n", "c": "three\n"}


def test_a_plan_with_changes_leaves_the_record_whole(site: Site) -> None:
    site.run()
    learnt = site.record.load()
    site.reset(a="else")
    site.run()
    site.run("-y")
    assert sorted(each.command for each in site.record.load()) == sorted(each.command for each in learnt)


def test_an_unchanged_run_forgets_what_is_asked_no_more(site: Site) -> None:
    site.record.save([Question("echo old"), head(site.here / "a")])
    site.run()
    assert site.record.load() == [head(site.here / name) for name in "abc"]


# Operations and code between `b` and `c` that change `c`, so that what is known of it is wrong: the deploy must see it.
MIDDLE = {
    "an operation": 'server.shell(name="m", commands=[f"echo changed > {here}/c"])',
    "a Python function": (
        "def change():\n    open(f'{here}/c', 'w').write('changed')\n\npython.call(name='m', function=change)"
    ),
    "an operation within a function": (
        "def change():\n    server.shell(name='n', commands=[f'echo changed > {here}/c'])\n\n"
        "python.call(name='m', function=change)"
    ),
    "an operation that is tried again": (
        'server.shell(name="m", commands=[f"test -e {here}/tried || {{ touch {here}/tried; exit 1; }}; '
        'echo changed > {here}/c"], _retries=2, _retry_delay=0)'
    ),
    "code of the deploy": "host.run_shell_command(f'echo changed > {here}/c')",
    "a fact that is any code": "host.get_fact(Command, f'echo changed > {here}/c')",
    "a local command": "local.shell(f'echo changed > {here}/c')",
    "a fact of a person's own that is derived from ours": (
        "class Mine(FirstLine):\n    def command(self, path):\n        return f'echo changed > {path}'\n\n"
        "host.get_fact(FirstLine, path=f'{here}/c')\nhost.get_fact(Mine, path=f'{here}/c')"
    ),
}


@pytest.mark.parametrize("name", MIDDLE)
def test_a_change_drops_what_is_known(site: Site, name: str) -> None:
    # The first `c` is read before the change in any case.
    site.deploy(f"line(name='c before', path='c', wanted='three')\n{MIDDLE[name]}")
    seen = []
    for ahead in (False, True):
        site.reset()
        site.learn()
        told = site.run("-y", ahead=ahead)
        seen.append((told["plan"], told["results"], site.files()))
    assert seen[1] == seen[0]
    assert site.files()["c"] == "three\n"


def test_what_one_host_changes_by_code_is_forgotten_on_all(site: Site) -> None:
    site.hosts("box1", "box2")
    site.deploy(
        "def change():\n    open(f'{here}/c', 'w').write('changed')\n\n"
        "if host.name == 'box2':\n    python.call(name='m', function=change)"
    )
    seen = []
    for ahead in (False, True):
        site.reset()
        site.learn()
        seen.append((site.run("-y", ahead=ahead)["results"], site.files()))
    assert seen[0] == seen[1]
    assert site.files()["c"] == "three\n"


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_record_costs_time_and_nothing_else(site: Site, name: str) -> None:
    site.reset(c="else")
    strange = [Question(command.replace("{asked}", head(site.here / "c").command)) for command in WRONG[name]]
    site.record.save([*strange, *(head(site.here / path) for path in "abc")])
    assert len(site.record.load()) == len(strange) + 3
    assert changes(site.run()) == ["c", "c again"]
    site.reset()
    assert changes(site.run()) == []
    assert site.record.load() == [head(site.here / path) for path in "abc"]


@pytest.mark.parametrize("sessions", [1, 2])
def test_a_server_that_grants_few_sessions(site: Site, sessions: int) -> None:
    site.server.max_sessions = sessions
    site.record.save([head(site.here / "a"), head(site.here / "b"), Question("sleep 1"), Question("sleep 1.0")])
    site.reset(c="else")
    assert changes(site.run()) == ["c", "c again"]
    assert site.run("-y")["status"] == 0
    assert site.files()["c"] == "three\n"


def test_a_connection_that_is_cut_fails_the_host_as_it_would_without(site: Site) -> None:
    site.learn()
    site.server.cut_at = "sh -s"
    assert site.run()["status"] == 1
    site.server.cut_at = "head"
    assert site.run(ahead=False)["status"] == 1
    site.server.cut_at = None
    assert changes(site.run()) == []


def test_nothing_of_a_secret_is_kept(site: Site) -> None:
    site.deploy(
        "from pyinfra.api import StringCommand\nfrom pyinfra.api.hiddenvalue import HiddenValue\n"
        "class Hidden(FirstLine):\n"
        "    def command(self):\n        return StringCommand('echo', HiddenValue('hidden-word'))\n"
        "    def process(self, output):\n        return output[0]\n"
        "Hidden.__module__ = 'signalbox.facts'\n"
        "host.get_fact(Hidden)\n"
        "host.get_fact(FirstLine, path='/etc/hostname', _env={'TOKEN': 'hidden-token'})"
    )
    assert site.run()["status"] == 0
    kept = "".join(path.read_text() for path in (site.path / "state").rglob("*.json"))
    assert "/host/a" in kept
    assert "hidden-word" not in kept
    assert "hidden-token" not in kept
    assert "/etc/hostname" not in kept


def test_other_ways_to_a_host_go_their_ordinary_way(site: Site) -> None:
    (site.path / "inventory.py").write_text(
        f"hosts = [('@local', {{'here': {str(site.here)!r}}}),"
        f" ('@fake/x', {{'here': '/nowhere', 'fake_delay': 0, 'fake_delay_jitter': 0}})]\n"
    )
    site.reset(b="else")
    assert site.run() == site.run(ahead=False)
    assert list((site.path / "state").rglob("*.json")) == []


def test_a_plan_that_waits_for_its_yes_is_asked_again(site: Site, tmp_path: Path) -> None:
    # Between plan and yes, someone puts right what the plan would change, and spoils something else.
    site.run()
    driver = tmp_path / "driver.py"
    driver.write_text(
        "import sys\nfrom pyinfra_cli import cli\n"
        "from signalbox.engine.readahead import known\nknown.MAX_AGE = 0.5\n"
        "import time\n"
        "def confirm(_message):\n"
        f"    open({str(site.here / 'c')!r}, 'w').write('spoilt\\n')\n"
        "    time.sleep(1)\n    return True\n"
        "cli._do_confirm = confirm\ncli.cli(['inventory.py', 'deploy.py'])\n"
    )
    site.server.commands.clear()
    subprocess.run([sys.executable, driver], cwd=site.path, check=True, capture_output=True, timeout=60)
    assert site.files()["c"] == "three\n"
    assert site.server.commands.count(ASKED_AHEAD) == 4


def test_order_and_names_of_operations_are_the_same(site: Site) -> None:
    site.deploy(
        "def inner():\n    line(name='nested', path='c', wanted='three')\n\npython.call(name='m', function=inner)"
    )
    site.learn()
    for how in ("--dry", "-y"):
        assert site.run(how) == site.run(how, ahead=False)

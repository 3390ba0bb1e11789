"""Facts read ahead: every run tells and does the same without it, whatever the record of the last run holds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from shutil import rmtree
from typing import Any

from pyinfra.api import FactBase
from pyinfra.facts.server import Users
from pyinfra.facts.systemd import SystemdEnabled, SystemdStatus

from signalbox.engine.readahead.question import Question
from signalbox.engine.readahead.record import Record
from signalbox.facts import Unit, User, UserUnits
from tests.drills import looks
from tests.drills.deployment import Site
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.locks import held_by_ann
from tests.drills.record import PROJECT
from tests.drills.stage import HOST, Stage
from tests.drills.tampers import TAMPERS
from tests.lab import hosts
from tests.lab.instance import Lab
from tests.lab.machine import wait_until
from tests.readahead.records import BROKEN, WRONG

drill = Drill(
    "readahead",
    "facts that are read ahead change the time of a run and nothing else",
    "Same results with and without reading ahead; at most 4 remote commands in a run that changes nothing; wrong, "
    "stale, hostile and broken records, a connection that is reset, retries, sudo's password, a prompt left waiting.",
)

MOST_COMMANDS = 4
CANARY = "/run/drill-canary"
MISSING = "/etc/signalbox/lanes.json"
NAMED = "the lanes are known"
PASSWORD = "correct horse battery"  # noqa: S105 (of a lab host)


class Ahead:
    """A host with its settings, and a directory of records of its own."""

    def __init__(self, site: Site) -> None:
        self.state = Lab.current().state / "readahead"
        for path in (self.state, self.state.with_name("elsewhere")):
            rmtree(path, ignore_errors=True)
        self.state.mkdir(mode=0o700)
        environment = {**site.environment, "XDG_STATE_HOME": str(self.state)}
        self.ahead = replace(site, environment={**environment, "SIGNALBOX_READ_AHEAD": "1"})
        self.without = replace(site, environment={**environment, "SIGNALBOX_READ_AHEAD": "0"})

    @property
    def record(self) -> Record:
        """The record of the deploy on the shared host."""
        kept = os.environ.get("XDG_STATE_HOME")
        os.environ["XDG_STATE_HOME"] = str(self.state)
        try:
            return Record(HOST, str(PROJECT / "deploy.py"))
        finally:
            del os.environ["XDG_STATE_HOME"]
            if kept is not None:
                os.environ["XDG_STATE_HOME"] = kept

    def same_plan(self) -> list[str]:
        """Return what the plans name; AssertionError when they differ with and without."""
        without, ahead = self.without.plan().ok(), self.ahead.plan().ok()
        assert "Traceback" not in ahead.stderr, ahead.stderr[-3000:]
        assert ahead.answer == without.answer, f"{ahead.planned(HOST)} is planned, without it {without.planned(HOST)}"
        return ahead.planned(HOST)


def _inside(script: str) -> str:
    """Run a script on the host without a login."""
    return subprocess.run(
        hosts.inside(HOST, "sh", "-c", script), capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


@contextmanager
def _drift() -> Iterator[None]:
    """Have a file gone that the deploy places."""
    _inside(f"mv {MISSING} {MISSING}.aside")
    try:
        yield
    finally:
        _inside(f"mv {MISSING}.aside {MISSING}")


@contextmanager
def _sessions_told() -> Iterator[Callable[[], int]]:
    """Have sshd write each session into the journal, and yield what counts them."""
    rule = "/etc/ssh/sshd_config.d/00-drill.conf"
    _inside(f"echo 'LogLevel VERBOSE' > {rule}; systemctl reload ssh")
    try:
        yield lambda: int(
            _inside("journalctl --sync; journalctl --no-pager -o cat | grep -c '^Starting session' || true")
        )
    finally:
        _inside(f"rm {rule}; systemctl reload ssh")


@drill.cell("same-plan", fixed=True)
def same_plan(stage: Stage) -> Figures:
    """Plans of a converged and of a drifted host are the same, and a clean one takes few remote commands."""
    site = Ahead(stage.converged())

    def few() -> int:
        before = sessions()
        run = site.ahead.plan().ok()
        assert not run.planned(HOST), run.planned(HOST)
        commands = sessions() - before
        assert 0 < commands <= MOST_COMMANDS, f"{commands} remote commands"
        return commands

    with _sessions_told() as sessions:
        control = must_fail(few, "nothing recorded yet")
        commands = few()
    with _drift():
        named = site.same_plan()
    assert any(NAMED in name for name in named), named
    return {"remote commands": commands, "facts": len(site.record.load()), "named": named[0], "control": control}


def _healed(name: str) -> Callable[[Stage], Figures]:
    tamper = TAMPERS[name]

    def body(stage: Stage) -> Figures:
        site = Ahead(stage.converged())
        site.ahead.plan().ok()
        looks.answer(tamper.drift, user="root")
        named = site.same_plan()
        assert any(all(words in each for words in tamper.named) for each in named), named
        changed = site.ahead.deploy().ok().changed(HOST)
        looks.answer(tamper.sound, user="root")
        assert site.same_plan() == []
        return {"named": named[0], "healed": f"{len(changed)} changes", "next plan": "clean with and without"}

    body.__doc__ = f"Both plans name it and a run with reading ahead heals it: {tamper.title}."
    return body


for _name in TAMPERS:
    drill.cell(f"heals-{_name}")(_healed(_name))


def _with_record(spoil: Callable[[Ahead], object], *, used: bool) -> Callable[[Stage], Figures]:
    def body(stage: Stage) -> Figures:
        site = Ahead(stage.converged())
        site.ahead.plan().ok()
        learnt = site.record.load()
        assert learnt
        _inside(f"rm -f {CANARY}")
        site.record.save([Question(f"touch {CANARY}"), *learnt])
        spoil(site)
        with _drift():
            named = site.same_plan()
        assert any(NAMED in name for name in named), named
        ran = bool(_inside(f"ls {CANARY} 2>/dev/null || true"))
        assert ran == used, "a command of the record ran on the host" if ran else "control: the record was not used"
        plan = site.ahead.plan().ok()
        assert not plan.planned(HOST), plan.planned(HOST)
        return {
            "named": named[0],
            "its commands": "ran" if ran else "did not run",
            "next plan": f"{plan.seconds:.1f} s",
        }

    return body


def _wrong(name: str) -> Callable[[Ahead], object]:
    def spoil(site: Ahead) -> None:
        planned = site.record.load()
        strange = [Question(command.replace("{asked}", planned[-1].command)) for command in WRONG[name]]
        site.record.save([planned[0], *strange, *planned[1:]])

    return spoil


def _cell_name(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", words.lower().replace("'", "")).strip("-")


for _name in WRONG:
    _body = _with_record(_wrong(_name), used=True)
    _body.__doc__ = f"A record {_name} costs time, and its plan is the plan without it."
    drill.cell(f"wrong-{_cell_name(_name)}")(_body)
for _name, _break in BROKEN.items():
    _body = _with_record(lambda site, spoil=_break: spoil(site.record.path), used=False)  # type: ignore[misc]
    _body.__doc__ = f"A broken record is not used, none of its commands is run: {_name}."
    drill.cell(f"broken-{_cell_name(_name)}")(_body)


@drill.cell("sudo-password")
def sudo_password(stage: Stage) -> Figures:
    """Through sudo with a password it is the same, and the password is in no record and left in no file."""
    stage.converged()
    hosts.add_admin(HOST, "ops", PASSWORD)
    data: dict[str, Any] = {"ssh_user": "ops", "connection": {"sudo": True, "sudo_password": "OPS_PASSWORD"}}
    site = Ahead(stage.site(HOST, of_host={HOST: data}, environment={"OPS_PASSWORD": PASSWORD}))
    first = site.same_plan()  # learns
    record = site.record.path.read_text()
    assert '"sudo": true' in record
    assert PASSWORD not in record
    assert "askpass" not in record

    def left() -> None:
        found = _inside("ls /dev/shm /run/user/*/ | grep askpass || true")
        assert not found, found

    with _drift():
        named = site.same_plan()
        left()
        assert named != first
        _inside("touch /dev/shm/signalbox-askpass-drill")
        control = must_fail(left, "a password file that was left")
        _inside("rm /dev/shm/signalbox-askpass-drill")
    assert site.same_plan() == first
    return {"named": named[0], "facts": len(site.record.load()), "control": control}


@drill.cell("locked")
def locked(stage: Stage) -> Figures:
    """What another deploy changed while this one read ahead and waited for its lock is seen, and healed."""
    site = Ahead(stage.converged())
    site.ahead.plan().ok()
    with ThreadPoolExecutor(1) as pool, held_by_ann(90):
        running = pool.submit(site.ahead.deploy, "--data", "lock.wait_seconds=120")
        assert wait_until(lambda: bool(_inside("pgrep -f 'flock -w 120' || true")), 60, 0.2), "it never waited"
        time.sleep(2)  # all that is read ahead is read by now
        _inside(f"mv {MISSING} {MISSING}.aside")
    changed = running.result().ok().changed(HOST)
    assert any(NAMED in name for name in changed), f"it used what was read before it had the lock: {changed}"
    _inside(f"rm {MISSING}.aside")
    return {"changed meanwhile": MISSING, "healed": next(name for name in changed if NAMED in name)}


def _answer(fact: type[FactBase[Any]], *arguments: Any, **named: Any) -> Any:
    """Ask a fact on the host, past pyinfra, and return its value."""
    asked = fact()
    command = asked.command(*arguments, **named)
    text = command if isinstance(command, str) else command.get_raw_value()
    return asked.process(_inside(f"{{ {text}\n}} || true").splitlines())


@drill.cell("own-facts")
def own_facts(stage: Stage) -> Figures:
    """Our facts of users and user units have the values of pyinfra's own, for units that run and one that does not."""
    stage.converged()
    keeper = "litellm"

    def same_users() -> int:
        theirs = _answer(Users)
        for name in ("root", "claude", keeper, "daemon"):
            ours, original = _answer(User, name), theirs[name]
            pairs = [(getattr(ours, key), original[key]) for key in ("uid", "home", "shell")]
            pairs.append((sorted(ours.groups), sorted([original["group"], *original["groups"]])))
            assert all(mine == its for mine, its in pairs), f"{name}: {pairs}"
        assert not _answer(User, "nobody-here").exists
        assert "nobody-here" not in theirs
        return 4

    def same_units() -> dict[str, bool]:
        seen = {}
        for user, unit in ((keeper, "docker.service"), (keeper, "litellm.service"), ("claude", "docker.service")):
            ours = _answer(UserUnits, user, f"/home/{user}").get(unit, Unit())
            way = {"user_mode": True, "user_name": user, "services": unit}
            active = _answer(SystemdStatus, **way).get(unit, False)
            enabled = _answer(SystemdEnabled, **way).get(unit, False)
            assert (ours.active, ours.enabled) == (active, enabled), f"{user}: {unit}: {ours}, {active}, {enabled}"
            seen[f"{user}: {unit}"] = ours.active
        return seen

    manager = "systemctl --user --machine=claude@.host"
    running = same_units()
    assert all(running.values()), running
    _inside(f"{manager} stop docker.service")
    stopped = same_units()
    _inside(f"{manager} start docker.service")
    assert list(stopped.values()) == [True, True, False], f"control: the stopped unit is not seen: {stopped}"
    return {"users": same_users(), "units": len(running), "control": "a stopped unit reads as stopped in both"}


@drill.cell("one-connection")
def one_connection(_stage: Stage) -> Figures:
    """Against an SSH server of this machine: changes of every kind, resets, few sessions, retries, a waiting prompt."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/readahead", "-p", "no:cacheprovider"],
        cwd=PROJECT, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    told = done.stdout.strip().splitlines()[-1:]
    assert done.returncode == 0, done.stdout[-2000:]
    return {"pytest": told[0]}

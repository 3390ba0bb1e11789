"""One deploy a host at a time, and never a host that is locked for good."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.drills import looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage
from tests.lab import hosts
from tests.lab.machine import wait_until

drill = Drill(
    "locks",
    "one deploy a host at a time",
    "A deploy holds a lock on the host, with owner, reason, since when and expiry; another waits or refuses by name. "
    "A killed run leaves no lock; a lock can be broken, and the run that had it stops. Each run leaves a record.",
)

LOCK = "/run/signalbox/deploy.lock"
LOG = "/var/log/signalbox/deploys.jsonl"
OWNER = {"who": "ann@laptop", "reason": "an upgrade", "run": "1", "since": "noon", "expires": "night", "pid": 1}


@contextmanager
def held_by_ann(seconds: int = 60, host: str = HOST) -> Iterator[None]:
    """Hold the lock as somebody else would, until the end of the block or for so many seconds."""
    script = (
        f"install -d /run/signalbox && exec 9>>{LOCK} && flock 9 && echo {looks.quoted(json.dumps(OWNER))} > {LOCK}"
    )
    command = hosts.inside(host, "sh", "-c", f"{script} && exec timeout {seconds} cat")
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        assert wait_until(lambda: "ann" in _owner(host), 20, 0.1), "control: the lock cannot be held"
        yield
    finally:
        process.communicate(timeout=20)  # the end of its stdin is the end of cat


def _owner(host: str = HOST) -> str:
    """Return the lock's line while somebody has it, "" else."""
    return looks.answer(f"[ ! -e {LOCK} ] || flock -n {LOCK} true || cat {LOCK}", host=host, user="root")


def _last() -> dict[str, Any]:
    record: dict[str, Any] = json.loads(looks.answer(f"tail -n1 {LOG}", user="root"))
    return record


@drill.cell("held", fixed=True)
def held(stage: Stage) -> Figures:
    """A second deploy refuses by the owner's name and touches nothing; after the first it goes on, and is recorded."""
    state = tempfile.TemporaryDirectory(prefix="signalbox-state-")
    site = replace(stage.converged(), environment={"XDG_STATE_HOME": state.name})
    with held_by_ann():
        looks.mark()
        run = site.deploy()
        assert run.status == 1, run.status
        told = next(line.strip() for line in run.stderr.splitlines() if "ann@laptop" in line)
        assert not looks.written()
    site.deploy().ok()
    record = _last()
    assert (record["host"], record["result"]) == (HOST, "unchanged"), record
    with state:
        here = (Path(state.name) / "signalbox/history.jsonl").read_text().splitlines()
    (kept,) = [json.loads(line) for line in here]
    assert kept == record, (kept, record)
    assert _owner() == ""
    control = must_fail(lambda: run.ok(), "the lock in another's hands")
    return {"told": told, "record": f"{record['who']}: {record['result']}, here as on the host", "control": control}


@drill.cell("waits")
def waits(stage: Stage) -> Figures:
    """With lock.wait_seconds the second deploy says for whom it waits, and then goes on."""
    site = stage.converged()
    with held_by_ann(10):
        run = site.deploy("--data", "lock.wait_seconds=120").ok()
    told = next(line.strip() for line in run.stderr.splitlines() if "waiting" in line)
    assert run.count(HOST), "nothing ran"
    return {"told": told, "took": f"{run.seconds:.1f} s"}


@drill.cell("killed")
def killed(stage: Stage) -> Figures:
    """A run that is killed in the middle leaves no lock: the next one needs no waiting."""
    site = stage.converged()
    looks.answer("systemctl --user --machine=litellm@.host stop litellm.service", user="root")
    run = site.start()
    assert wait_until(lambda: _owner() != "", 120, 0.05), "control: no lock is seen while a deploy runs"
    run.kill()
    assert wait_until(lambda: _owner() == "", 20, 0.1), f"still locked: {_owner()}"
    record = _last()
    assert (record["result"], record["changed"]) == ("interrupted", None), record
    healed = site.deploy().ok()
    return {"free": "within 20 s of SIGKILL", "record": record["result"],
            "next run": f"{len(healed.changed(HOST))} changes"}  # fmt: skip


@drill.cell("expired")
def expired(stage: Stage) -> Figures:
    """A controller that says nothing any more loses the lock when it expires; when it is back, it stops and says so."""
    site = stage.converged()
    looks.answer("systemctl --user --machine=litellm@.host stop litellm.service", user="root")
    run = site.start("-y", "--data", "lock.expires_minutes=1")
    assert wait_until(lambda: _owner() != "", 120, 0.05)
    taken = time.monotonic()
    run.stop()
    try:
        control = must_fail(lambda: _free(30), "its time not over")
        assert wait_until(lambda: _owner() == "", 60, 0.5), f"still locked: {_owner()}"
        seconds = time.monotonic() - taken
        record = _last()
        assert record["result"] == "interrupted", record
    finally:
        run.go_on()
    ended = run.wait()
    assert ended.status == 1, ended.status
    told = next(line.strip() for line in ended.stderr.splitlines() if "has expired" in line)
    site.deploy().ok()
    return {"free": f"after {seconds:.0f} s of 60", "record": record["result"], "told": told, "control": control}


def _free(seconds: float) -> None:
    assert wait_until(lambda: _owner() == "", seconds, 1), "still locked"


@drill.cell("broken")
def broken(stage: Stage) -> Figures:
    """`signalbox lock --break` frees the host, and the run that had it stops and says so."""
    site = stage.converged()
    looks.answer("systemctl --user --machine=litellm@.host stop litellm.service", user="root")
    run = site.start()
    assert wait_until(lambda: _owner() != "", 120, 0.05)
    assert site.signalbox("lock", "--break", "-y").status == 0
    ended = run.wait()
    assert ended.status == 1, ended.status
    told = next(line.strip() for line in ended.stderr.splitlines() if "lock was broken" in line)
    must_fail(lambda: ended.ok(), "its lock broken")
    site.deploy().ok()
    looks.gateway_within(60)
    return {"told": told}


@drill.cell("sudo")
def sudo(stage: Stage) -> Figures:
    """Through sudo the lock is held and given back as well, and a killed run leaves none."""
    stage.converged()
    hosts.add_admin(HOST, "admin")
    site = stage.site(of_host={HOST: {"ssh_user": "admin", "connection": {"sudo": True}}})
    site.deploy().ok()
    assert _last()["result"] in ("changed", "unchanged")
    looks.answer("systemctl --user --machine=litellm@.host stop litellm.service", user="root")
    run = site.start()
    assert wait_until(lambda: _owner() != "", 120, 0.05)
    run.kill()
    assert wait_until(lambda: _owner() == "", 20, 0.1), f"still locked: {_owner()}"
    site.deploy().ok()
    return {"free": "within 20 s of SIGKILL"}

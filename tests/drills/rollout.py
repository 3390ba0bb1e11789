"""`signalbox rollout` over a fleet of real hosts: it stops in time, goes on where it was, and two do not meet."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from signalbox.settings.layers import merge
from tests.drills import looks
from tests.drills.deployment import PROJECT, Run, Site
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.locks import held_by_ann
from tests.drills.stage import HOST, Stage, lab_host
from tests.lab import hosts, services
from tests.lab.instance import Lab
from tests.lab.machine import step, wait_until

drill = Drill(
    "rollout",
    "a change over many hosts that nobody has to watch",
    "20 lab hosts, 17 with the base sections enabled and 3 with everything: a canary that fails (nothing else "
    "touched), a failure in wave 2 (stops, says so, resumes), one host off; two rollouts at once (one waits or refuses "
    "by name); SIGKILL in mid-wave, then resume.",
)

WHOLE = 3  # hosts with everything
# In all; a smaller machine may say less, and the figures then say so.
NAMES = [lab_host(f"r{number:02}") for number in range(1, int(os.environ.get("SIGNALBOX_FLEET", "20")) + 1)]
BASE_ONLY, EVERYTHING = NAMES[:-WHOLE], NAMES[-WHOLE:]
OFF = ("rootless_docker", "toolchain", "secrets", "gateway", "launchers", "doctor")
BASE: dict[str, Any] = {section: {"enabled": False} for section in OFF}
CANARY, WAVE_2 = NAMES[0], NAMES[6]
PARALLEL = ("--parallel", "5")
WAVES = ("--canary", CANARY, "--wave", "5", *PARALLEL)
BROKEN = {"base": {"packages": ["no-such-package"]}}
UNWELL = {"base": {"packages": ["awk"]}}  # apt installs mawk for it, which is there: verification misses awk


def _site(stage: Stage, banner: str, broken: Mapping[str, Mapping[str, Any]] | None = None) -> Site:
    """Return the fleet with this text on each console, which is the change that is rolled out."""
    settings = {"hardening": {"banner": banner}}
    of_host = {name: merge(BASE if name in BASE_ONLY else {}, dict((broken or {}).get(name, {}))) for name in NAMES}
    return stage.site(*NAMES, settings=settings, of_host=of_host)


def _fleet(stage: Stage) -> None:
    """Have the fleet up and rolled out to once; most of its hosts are copies of a converged one."""
    for first, *copies in (BASE_ONLY, EVERYTHING):
        if all(hosts.exists(name) for name in (first, *copies)):
            stage.up(first, *copies)
            continue
        stage.discard(first, *copies)
        stage.bare(first)
        with step(f"deploying to {first}"):
            stage.site(first, of_host={first: BASE if first in BASE_ONLY else {}}).deploy().ok()
        hosts.poweroff(first)
        hosts.clone(first, copies)
        stage.up(first, *copies)
        shutil.rmtree(Lab.current().state / "rollouts", ignore_errors=True)  # of the hosts that were there before
    # Those that will fail need a verified rollout to be put back to.
    failing = (CANARY, WAVE_2)
    if not all(any((Lab.current().state / "rollouts/signalbox/good").glob(f"*/{name}.json")) for name in failing):
        with step("the first rollout"):
            limit = [word for name in failing for word in ("--limit", name)]
            run, states = _rollout(_site(stage, "first"), *limit)
            assert run.status == 0, run.stderr[-3000:]
            assert set(states.values()) == {"done"}, states


def _environment(owner: str = "rollouts") -> dict[str, str]:
    """Return what one machine's rollouts share: their state."""
    return {"XDG_STATE_HOME": str(Lab.current().state / owner)}


def _rollout(
    site: Site, *arguments: str, owner: str = "rollouts", inventory: Path | None = None
) -> tuple[Run, dict[str, str]]:
    run = site.signalbox("rollout", "--json", *arguments, inventory=inventory, **_environment(owner))
    return run, {each["host"]: each["state"] for each in json.loads(run.stdout)["hosts"]} if run.stdout else {}


def _start(site: Site, *arguments: str) -> subprocess.Popen[str]:
    program = [
        sys.executable,
        "-c",
        "from signalbox.commands.cli import main; main()",
        "rollout",
        str(site.inventory()),
    ]
    return subprocess.Popen(
        [*program, "--json", *arguments], cwd=PROJECT, env={**os.environ, **services.environment(), **_environment()},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def _ask(names: Sequence[str], command: str) -> dict[str, str]:
    with ThreadPoolExecutor(max_workers=4) as pool:
        answers = pool.map(lambda name: looks.answer(command, host=name, user="root"), names)
        return dict(zip(names, answers, strict=True))


def _banners(names: Sequence[str] = NAMES) -> dict[str, str]:
    return _ask(names, "cat /etc/issue")


def _deploys(names: Sequence[str] = NAMES) -> dict[str, str]:
    """Return how many deploys each host has a record of."""
    return _ask(names, "wc -l < /var/log/signalbox/deploys.jsonl")


def _words(run: Run, text: str) -> str:
    return next(line.strip() for line in run.stderr.splitlines() if text in line)[:200]


@drill.cell("canary")
def canary(stage: Stage) -> Figures:
    """A canary that fails its verification is put back, and nothing else is touched."""
    _fleet(stage)
    banners, deploys = _banners(), _deploys()
    run, states = _rollout(_site(stage, "canary", {CANARY: UNWELL}), *WAVES)
    assert run.status == 1, run.stderr[-2000:]
    assert states == {CANARY: "put back", **dict.fromkeys(NAMES[1:], "waiting")}, states
    assert _banners() == banners
    others = NAMES[1:]
    assert _deploys(others) == {name: deploys[name] for name in others}
    _, states = _rollout(_site(stage, "canary"), *WAVES, "--limit", CANARY)
    control = must_fail(lambda: _same(banners, _banners()), "the canary deployed to")
    return {"hosts": len(NAMES), "told": _words(run, "stopped after"), "untouched": len(others),
            "took": f"{run.seconds:.0f} s", "control": control}  # fmt: skip


def _same(was: Mapping[str, str], now: Mapping[str, str]) -> None:
    assert was == now, (was, now)


@drill.cell("wave-2")
def wave_2(stage: Stage) -> Figures:
    """A failure in wave 2 stops it there; resumed, it goes on with those that are not done."""
    _fleet(stage)
    banners = _banners()
    run, states = _rollout(_site(stage, "wave-2", {WAVE_2: BROKEN}), *WAVES)
    assert run.status == 1, run.stderr[-2000:]
    done = [name for name, state in states.items() if state == "done"]
    waiting = [name for name, state in states.items() if state == "waiting"]
    assert states[WAVE_2] == "put back", states
    assert len(done) + len(waiting) + 1 == len(NAMES), states
    assert len(waiting) == max(len(NAMES) - 11, 0), states
    assert _banners(waiting) == {name: banners[name] for name in waiting}
    deploys = _deploys(done)
    again, states = _rollout(_site(stage, "wave-2"), *PARALLEL, "--resume")
    assert (again.status, set(states.values())) == (0, {"done"}), (again.stderr[-2000:], states)
    assert _deploys(done) == deploys, "hosts that were done were deployed to again"
    assert set(_banners().values()) == {"wave-2"}
    return {"hosts": len(NAMES), "told": _words(run, "stopped after"), "why": _words(run, f"{WAVE_2}: put back"),
            "untouched": len(waiting), "took": f"{run.seconds:.0f} s", "resumed": f"{again.seconds:.0f} s"}  # fmt: skip


@drill.cell("one-off")
def one_off(stage: Stage) -> Figures:
    """One host that is off is named, the others get the change; when it is on again, resuming finishes it."""
    _fleet(stage)
    off = NAMES[3]
    hosts.poweroff(off)
    run, states = _rollout(_site(stage, "one-off"), *WAVES, "--max-failures", "1")
    hosts.up([off])
    assert run.status == 1, run.stderr[-2000:]
    assert states == {**dict.fromkeys(NAMES, "done"), off: "failed"}, states
    again, states = _rollout(_site(stage, "one-off"), *PARALLEL, "--resume")
    assert (again.status, set(states.values())) == (0, {"done"}), again.stderr[-2000:]
    assert set(_banners().values()) == {"one-off"}
    return {"hosts": len(NAMES), "told": _words(run, f"{off}: failed"), "took": f"{run.seconds:.0f} s",
            "resumed": f"{again.seconds:.0f} s"}  # fmt: skip


@drill.cell("two-at-once")
def two_at_once(stage: Stage) -> Figures:
    """A second rollout is refused by name; one from elsewhere waits for another's deploy, or is refused by name."""
    _fleet(stage)
    names = NAMES[:5]
    limit = [word for name in names for word in ("--limit", name)]
    busy = names[4]
    elsewhere = _site(stage, "elsewhere").inventory().rename(Lab.current().state / "inventories" / "elsewhere.py")
    site = _site(stage, "here")
    first = _start(site, *limit, "--wave", "5", "--pause", "20")
    try:
        assert wait_until(lambda: first.poll() is not None or _running(), 60, 0.05)
        assert first.poll() is None, "control: it does not run"
        second, _ = _rollout(site, *limit)
    finally:
        _, errors = first.communicate(timeout=400)
    assert first.returncode == 0, errors[-2000:]
    assert second.status == 1, second
    assert "another rollout of this inventory runs" in second.stderr, second.stderr
    assert set(_banners(names).values()) == {"here"}
    with held_by_ann(120, busy):
        refused, states = _rollout(site, "--limit", busy, owner="elsewhere", inventory=elsewhere)
    assert (refused.status, states) == (1, {busy: "failed"}), refused
    assert "another deploy runs: ann" in refused.stderr, refused.stderr
    assert _banners([busy]) == {busy: "here"}, "control: it was deployed to all the same"
    with held_by_ann(HELD, busy):
        began = time.monotonic()
        waiting, states = _rollout(site, *limit, "--wave", "5", "--lock-wait", "300", owner="elsewhere",
                                   inventory=elsewhere)  # fmt: skip
        seconds = time.monotonic() - began
    assert (waiting.status, set(states.values())) == (0, {"done"}), waiting.stderr[-2000:]
    told = _words(waiting, "waiting up to")
    assert seconds > HELD - 5, "it did not wait"
    assert set(_banners(names).values()) == {"elsewhere"}
    return {"refused": _words(second, "another rollout"), "on the host": _words(refused, "another deploy runs"),
            "the one that waits": f"{told}; done on {len(states)} in {seconds:.0f} s"}  # fmt: skip


HELD = 45  # seconds in which somebody else has the lock: longer than a rollout takes to get there


def _state(name: str) -> str:
    """Return what the last rollout of this machine says of the host."""
    files = (Lab.current().state / "rollouts" / "signalbox" / "rollouts").glob("*.json")
    newest = max(files, key=lambda path: path.stat().st_mtime, default=None)
    return json.loads(newest.read_text())["hosts"].get(name, {}).get("state", "") if newest else ""


def _locked(name: str) -> bool:
    lock = "/run/signalbox/deploy.lock"
    return bool(hosts.run(name, f"flock -n {lock} true || echo held", check=False).stdout.strip())


@drill.cell("killed")
def killed(stage: Stage) -> Figures:
    """SIGKILL in mid-wave: no lock stays, and resuming goes on with those that are not done."""
    _fleet(stage)
    text = f"killed {secrets.token_hex(3)}"  # new in each run
    site = _site(stage, text)
    for left in (Lab.current().state / "rollouts" / "signalbox" / "rollouts").glob("*.json"):
        left.unlink()  # what an earlier rollout says would be taken for this one's
    running = _start(site, *WAVES)
    name = NAMES[1]
    assert wait_until(lambda: running.poll() is not None or _state(name) == "deploying", 240, 0.05)
    assert running.poll() is None, "control: it ended before it could be killed"
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    assert wait_until(lambda: not _locked(name), 30, 0.2), "its lock stays"
    banners = _banners()
    assert any(each != text for each in banners.values()), "control: it was over"
    done = [name for name in (CANARY,) if banners[name] == text]
    deploys = _deploys(done)
    run, states = _rollout(site, *PARALLEL, "--resume")
    assert (run.status, set(states.values())) == (0, {"done"}), run.stderr[-2000:]
    assert set(_banners().values()) == {text}
    assert _deploys(done) == deploys, "the canary, which was done, was deployed to again"
    before = sum(each == text for each in banners.values())
    return {"hosts": len(NAMES), "had it when it was killed": before, "resumed": f"{run.seconds:.0f} s"}


@drill.cell("one-host", fixed=True)
def one_host(stage: Stage) -> Figures:
    """A rollout to one host is verified, told by commit, and refused a second time while it runs."""
    stage.converged()
    site = stage.site()
    first = _start(site)
    assert wait_until(_running, 30, 0.05), "control: it does not run"
    second, _ = _rollout(site)
    told, errors = first.communicate(timeout=300)
    assert first.returncode == 0, errors[-2000:]
    (host,) = json.loads(told)["hosts"]
    assert (host["host"], host["state"]) == (HOST, "done"), host
    assert host["commit"], host
    assert second.status == 1, second.stderr
    return {"done": f"{HOST} has {host['commit']}", "second": _words(second, "another rollout")}


def _running() -> bool:
    """Return whether somebody holds this machine's lock of rollouts."""
    for path in (Lab.current().state / "rollouts" / "signalbox" / "rollouts").glob("*.lock"):
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False

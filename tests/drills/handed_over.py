"""litellm.service is restarted behind a stand-in, while requests are under way and people are at work."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Event
from typing import Any

from tests.drills import earlier, looks, sessions
from tests.drills.deployment import Run, Site
from tests.drills.drill import Figures, must_fail
from tests.drills.stage import HOST, Stage
from tests.drills.swapping import CLOUD, RUNS, asked, at_rest, none_lost, under_way, unit_run
from tests.drills.tampers import DOCKER
from tests.lab import hosts
from tests.lab.machine import wait_until

BEFORE = "eb99c20"  # the last commit of the layout of before
UNIT = "signalbox-handover.service"
RESTARTS = {"gateway": {"limits": {"tasks": 600}}}  # a line of the unit
PATIENT = {"gateway": {"start_timeout_seconds": 600}}  # LiteLLM takes minutes to come up on a machine that is busy
BEGUN = "nft list table inet signalbox_handover 2>/dev/null | grep -q redirect"
# What a plan of today names on a host of before: programs that have moved, what says where they are now, and what came
# beside the move: /context of a crowded session, and what is told when a session stops.
MOVED = (
    r"Gateway \| litellm: [\w.]+\.(py|json|yaml|service) is in place", r"Gateway \| litellm: start is in place",
    rf"Gateway \| litellm: {RUNS}", r"Programs \| (programs have their directories|what programs share is in place)",
    r"Launchers \| the launchers' programs are in place", r"Doctor \| claude-doctor's programs .* are in place",
    r"Leftovers \| nothing is left of what earlier settings asked for",
)  # fmt: skip
CAME_BEFORE = (
    r"Launchers \| the lanes are known", r"Launchers \| claude-task@\.service is in place",
    r"Doctor \| claude-doctor knows what this host shall be",
    r"Launchers \| [\w-]+\.1 is in place",  # how commands are spelled since
)  # fmt: skip


@contextmanager
def flowing_on(model: str = CLOUD) -> Iterator[list[dict[str, Any]]]:
    """Have short requests all the time, without a pause; in the end the list has what came of each."""
    told: list[dict[str, Any]] = []
    over = Event()

    def go() -> None:
        while not over.is_set():
            told.extend(asked(model, 25, 1))

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(go) for _ in range(2)]
        try:
            yield told
        finally:
            over.set()
        for each in both:
            each.result()


def nothing_left() -> None:
    """AssertionError unless the stand-in is gone with all that it had, soon."""
    unit = f"systemctl is-active {UNIT} || systemctl is-failed {UNIT}"
    files = "ls -d /run/user/*/signalbox-handover /run/signalbox-handover 2>/dev/null"
    container = f"{DOCKER} ps -aq --filter label=signalbox=handover | grep ."
    there = f"{unit}; {files}; nft list tables | grep handover; {container}; systemctl --failed --no-legend"
    seen: list[str] = []

    def gone() -> bool:
        seen[:] = hosts.run(HOST, there, check=False).stdout.split()
        return set(seen) <= {"inactive", "unknown"}

    assert wait_until(gone, 90, 1), f"left: {seen}"


def told_of(done: Run) -> list[str]:
    """Return what a deploy said of the stand-in."""
    lines = (line.partition("] ")[2].strip() for line in done.stderr.splitlines())
    return [line for line in lines if "stand-in" in line or "hand-over" in line]


def _same_then(site: Site) -> None:
    assert not site.deploy().ok().changed(HOST), "the next run changes something"


def restart(stage: Stage) -> Figures:
    """A change of the unit: 200 requests at the middle of their answers, and others all the time, none is lost."""
    at_rest(stage)
    running, site = unit_run(), stage.site(settings=RESTARTS)
    with under_way(stage) as many, flowing_on() as others:
        done = site.deploy().ok()
        told = many.result()
    assert unit_run() != running, "the unit was not restarted"
    none_lost(told), none_lost(others)
    said = told_of(done)
    assert any("ends its last" in line for line in said), said
    nothing_left()
    _same_then(site)

    def plainly() -> None:
        with flowing_on() as flow:
            plain = stage.site().deploy().ok()
        assert any("without a stand-in" in line for line in told_of(plain)), plain.stderr[-2000:]
        none_lost(flow)

    looks.answer("mv /usr/bin/ss /usr/bin/ss.away", user="root")
    try:
        control = must_fail(plainly, "no ss on the host, so no stand-in")
    finally:
        looks.answer("mv /usr/bin/ss.away /usr/bin/ss", user="root")
    longest = max(each["total"] for each in others)
    return {"under way": len(told), "others meanwhile": len(others), "lost": 0, "deploy": f"{done.seconds:.0f} s",
            "slowest of the others": f"{longest:.2f} s", "told": " / ".join(said), "next run": "no change",
            "control": control}  # fmt: skip


def restart_killed(stage: Stage) -> Figures:
    """The controller is killed when the stand-in answers, and another deploy comes; then the stand-in is killed."""
    at_rest(stage)
    running, site = unit_run(), stage.site(settings=RESTARTS)
    with flowing_on() as others:
        with under_way(stage, 20) as many:
            deploy = site.start()
            assert wait_until(lambda: hosts.run(HOST, BEGUN, check=False).returncode == 0, 240, 0.2), "no stand-in"
            killed = deploy.kill()
            second = site.deploy().ok()
            told = many.result()
        none_lost(told)
        nothing_left()
    assert unit_run() != running, "the unit was not restarted"
    none_lost(others)
    assert told_of(second) == ["waits for the hand-over that an earlier deploy has begun"], second.stderr[-2000:]
    _same_then(site)
    with under_way(stage, 3) as held:
        last = stage.site().start()
        assert wait_until(lambda: hosts.run(HOST, BEGUN, check=False).returncode == 0, 240, 0.2), "no stand-in"
        looks.answer(f"systemctl kill --signal=KILL --kill-whom=main {UNIT}", user="root")
        begun = time.monotonic()
        assert wait_until(lambda: hosts.run(HOST, BEGUN, check=False).returncode != 0, 10, 0.05), "still redirected"
        took = time.monotonic() - begun
        none_lost(asked(CLOUD, 5, 1))  # by the gateway that is to be restarted
        done = last.wait().ok()
        assert "without a stand-in" in told_of(done)[-1], told_of(done)
        held.result()
    nothing_left()
    _same_then(stage.site())
    return {"killed after": f"{killed:.1f} s", "under way": len(told), "others meanwhile": len(others), "lost": 0,
            "the next deploy": " / ".join(told_of(second)) or "has nothing to restart",
            "stand-in killed": f"no redirection after {took:.1f} s", "then": " / ".join(told_of(done))}  # fmt: skip


AT_WORK = (
    "rm -f ~/drill-stop ~/drill-runs; while [ ! -e ~/drill-stop ]; do"
    " bash -lc 'cd ~ && timeout 200 claude-routed -p hello' >~/drill-out 2>&1; s=$?; echo $s >> ~/drill-runs;"
    " [ $s = 0 ] || cat ~/drill-out; done; cat ~/drill-runs"
)


@contextmanager
def at_work() -> Iterator[list[str]]:
    """Have `claude-routed -p` run again and again; in the end the list has the exit statuses and what failed."""
    told: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(looks.answer, AT_WORK, timeout=900)
        try:
            yield told
        finally:
            looks.answer("touch ~/drill-stop")
        told.extend(work.result().splitlines())


def from_before(stage: Stage) -> Figures:
    """A host of the layout of before: the plan names moved programs, and the one deploy that it takes is not felt."""
    stage.bare(HOST)
    site = stage.site(settings=PATIENT)
    try:
        with earlier.earlier(BEFORE) as old:
            earlier.deploy(old, site.inventory())
        planned = site.plan().ok().planned(HOST)
        others = [name for name in planned if not any(re.fullmatch(each, name) for each in (*MOVED, *CAME_BEFORE))]
        assert planned, "the plan names nothing"
        assert not others, f"the plan names {others}"
        asked("local", 2, 1)
        running = unit_run()
        with ExitStack() as everything:
            everything.enter_context(sessions.session())
            before = sessions.processes()
            stage.simulators.clear()
            many = everything.enter_context(under_way(stage, 20))
            work, flow = everything.enter_context(at_work()), everything.enter_context(flowing_on())
            done = site.deploy().ok()
            sessions.runs(before)
            sessions.typed("'the word is quince'", "Enter")
            assert wait_until(lambda: "quince" in looks.answer(sessions.KEPT), 60, 0.5), "the session does not go on"
            told = many.result()
        assert set(work) == {"0"}, f"claude-routed -p: {work[:20]}"
        none_lost(told), none_lost(flow)
        assert unit_run() != running, "the unit was not restarted"
        nothing_left()
        _same_then(site)
        again = site.plan().ok().planned(HOST)
        assert not again, again
    finally:
        stage.discard(HOST)
    came = [name.partition(" | ")[2] for name in planned if any(re.fullmatch(each, name) for each in CAME_BEFORE)]
    return {"before": BEFORE, "planned": len(planned), "not of the move": "; ".join(came), "claude -p": len(work),
            "the open session": "the same process answers", "under way": len(told), "others meanwhile": len(flow),
            "lost": 0, "deploy": f"{done.seconds:.0f} s", "told": " / ".join(told_of(done)),
            "next run": "no change"}  # fmt: skip

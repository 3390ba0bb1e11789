"""The gateway is replaced while requests are under way, and is not replaced by one that does not come up."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from tests.drills import handed_over, looks
from tests.drills.deployment import Site
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage
from tests.drills.swapping import (
    BROKEN,
    CHANGED,
    CLOUD,
    DROPPED,
    LOCAL,
    MANY,
    OURS,
    RUNS,
    asked,
    at_rest,
    containers,
    drained,
    flowing,
    none_lost,
    under_way,
    unit_run,
)
from tests.drills.tampers import AS_KEEPER, DOCKER
from tests.lab import hosts
from tests.lab.machine import wait_until

drill = Drill(
    "swap",
    "the gateway is replaced while requests are under way",
    "200 requests under way while a valid config changes and while a broken one is refused: none lost. A new config is "
    "started beside the old gateway, which drains before it stops; one that does not come up healthy never replaces "
    "anything, and the deploy fails saying why. What restarts litellm.service does so behind a stand-in, on a host of "
    "the layout of before too.",
)


def said() -> list[str]:
    """Return what the supervisor said in this run of the unit."""
    journal = looks.answer(f"journalctl -o cat _SYSTEMD_INVOCATION_ID={unit_run()}", user="root")
    return [line for line in journal.splitlines() if line.startswith("signalbox:")]


def in_use() -> str:
    """Return the request timeout that the running container was given."""
    (name,) = containers()
    config = looks.answer(f"{DOCKER} exec {name} cat /signalbox/config.yaml", user="root")
    return next(line.split()[-1] for line in config.splitlines() if "request_timeout:" in line)


def refused(site: Site, why: str) -> str:
    """Deploy: it must fail at the gateway, saying why. Returns what it said."""
    done = site.deploy()
    assert done.status != 0, "the deploy succeeded"
    assert RUNS in done.stderr, f"it failed elsewhere:\n{done.stderr[-3000:]}"
    said = [line.partition("] ")[2].strip() for line in done.stderr.splitlines() if why in line]
    assert said, f"the deploy does not say {why!r}:\n{done.stderr[-3000:]}"
    return said[-1]


def swapped(stage: Stage, settings: Mapping[str, Any], **environment: str) -> str:
    """Deploy settings that replace the container alone; return how long that took."""
    running = unit_run()
    done = stage.site(settings=settings, environment=environment).deploy().ok()
    assert any(RUNS in name for name in done.changed(HOST)), f"changed: {done.changed(HOST)}"
    assert unit_run() == running, "the unit was restarted"
    return f"{done.seconds:.1f} s"


@drill.cell("refused", fixed=True)
def refuse(stage: Stage) -> Figures:
    """A broken configuration is refused while requests flow: none is lost, the old gateway is untouched."""
    at_rest(stage)
    before, running = containers(), looks.started()
    with flowing(60) as flow:
        why = refused(stage.site(settings=BROKEN), DROPPED)
        told = flow.result()
    none_lost(told), none_lost(asked(LOCAL, 4, 2))
    assert (containers(), looks.started()) == (before, running), "the gateway was touched"
    planned = stage.site(settings=BROKEN).plan().ok().planned(HOST)
    assert any(RUNS in name for name in planned), f"the plan names {planned}"
    again = stage.site().deploy().ok()
    assert not any(RUNS in name for name in again.changed(HOST)), "what never ran had to be replaced"
    return {"requests meanwhile": len(told), "lost": 0, "the deploy says": why, "plan": "names it"}


@drill.cell("changed")
def changed(stage: Stage) -> Figures:
    """200 requests at the middle of their answers, and others all the time, while a valid configuration comes."""
    at_rest(stage)
    before = containers()
    with under_way(stage) as many, flowing() as flow:
        took = swapped(stage, CHANGED)
        both = containers()
        assert len(both) == 2, f"the old one is gone before its requests: {both}"
        none_lost(short := flow.result())
        none_lost(many.result())
    switch = next(line for line in reversed(said()) if "ends its last" in line)
    count = int(switch.partition("its last ")[2].split()[0])
    assert count >= MANY, f"at the switch: {switch}"
    drained()
    assert containers() != before
    assert in_use() == "601", "the new configuration is not in use"
    assert not stage.site(settings=CHANGED).deploy().ok().changed(HOST), "the next run changes something"
    return {
        "under way at the switch": count,
        "others meanwhile": len(short),
        "lost": 0,
        "deploy": took,
        "slowest of the others": f"{max(each['total'] for each in short):.2f} s",
        "median of the others": f"{sorted(each['total'] for each in short)[len(short) // 2]:.2f} s",
        "next run": "no change",
    }


@drill.cell("broken")
def broken(stage: Stage) -> Figures:
    """The same 200 while a configuration is refused, and while one is whose container ends by itself."""
    at_rest(stage)
    before, running = containers(), looks.started()
    with under_way(stage) as many, flowing() as flow:
        model = refused(stage.site(settings=BROKEN), DROPPED)
        ends = refused(stage.site(settings={"gateway": {"entrypoint": "/bin/false"}}), "ended while it started")
        none_lost(short := flow.result())
        none_lost(told := many.result())
    assert (containers(), looks.started()) == (before, running), "the gateway was touched"
    stage.site().deploy().ok()
    return {"under way": len(told), "others meanwhile": len(short), "lost": 0, "a model": model, "ends": ends}


@drill.cell("restarted")
def restarted(stage: Stage) -> Figures:
    """The control: the same change by a restart loses requests; the looks of this drill see it."""
    at_rest(stage)

    def by_restart() -> None:
        with flowing(400) as flow:
            time.sleep(2)
            looks.answer(f"{AS_KEEPER} restart litellm.service", user="root")
            none_lost(flow.result())

    return {"control": must_fail(by_restart, "a restart in place of the swap")}


@drill.cell("key")
def key(stage: Stage) -> Figures:
    """A provider's new key comes the same way: what is under way ends, what comes after uses the new one."""
    at_rest(stage)
    name = "ANTHROPIC_DIRECT_KEY"
    with under_way(stage, 20) as many, flowing(100) as flow:
        took = swapped(stage, {}, **{name: "sk-ant-another-key"})
        none_lost(told := many.result())
        flow.result()  # the simulated cloud refuses that key
    drained()
    (last,) = asked(CLOUD, 1, 1)
    assert last["status"] == 401, f"the new key is not in use: {last}"
    swapped(stage, {})
    drained()
    none_lost(asked(CLOUD, 1, 1))
    return {"under way": len(told), "lost": 0, "deploy": took, "the new key": "in use"}


@drill.cell("reboot")
def reboot(stage: Stage) -> Figures:
    """After a refused configuration the host reboots: the last good one runs, plan and doctor say that it is so."""
    at_rest(stage)
    refused(stage.site(settings=BROKEN), DROPPED)
    hosts.reboot(HOST)
    assert looks.gateway_within(240), "the gateway does not answer after the reboot"
    looks.user_units()
    none_lost(asked(LOCAL, 2, 1))
    planned = stage.site(settings=BROKEN).plan().ok().planned(HOST)
    assert any(RUNS in name for name in planned), f"the plan names {planned}"
    doctor = hosts.run(HOST, "claude-doctor", check=False, timeout=200).stdout
    assert DROPPED in doctor, doctor
    again = stage.site().deploy().ok()
    assert not any(RUNS in name for name in again.changed(HOST)), "what runs had to be replaced"
    assert not stage.site().deploy().ok().changed(HOST)
    doctor = hosts.run(HOST, "claude-doctor", check=False, timeout=200).stdout
    assert "LiteLLM does not take" not in doctor, doctor
    return {"after the reboot": "the last good configuration answers", "plan and doctor": "name it",
            "put right": "the gateway runs on"}  # fmt: skip


@drill.cell("killed")
def killed(stage: Stage) -> Figures:
    """The controller is killed while the new container starts: the swap ends well all the same."""
    at_rest(stage)
    with flowing(150) as flow:
        deploy = stage.site(settings=CHANGED).start()
        assert wait_until(lambda: len(containers()) == 2, 120, 0.1), "no second container"
        seconds = deploy.kill()
        none_lost(told := flow.result())
    assert wait_until(lambda: len(containers()) == 1 and in_use() == "601", 90, 0.5), containers()
    stage.site(settings=CHANGED).deploy().ok()
    assert not stage.site(settings=CHANGED).deploy().ok().changed(HOST)
    return {"killed after": f"{seconds:.1f} s", "requests meanwhile": len(told), "lost": 0}


@drill.cell("crash")
def crash(stage: Stage) -> Figures:
    """The container is killed, then the supervisor: each comes back by itself, with one container and one answer."""
    at_rest(stage)
    figures = {}
    for who, command in (
        ("container", f"{DOCKER} kill $({DOCKER} ps -q {OURS})"),
        ("supervisor", f"{AS_KEEPER} kill --kill-whom=main -s KILL litellm.service"),
    ):
        running = looks.started()
        looks.answer(command, user="root")
        started = time.monotonic()
        assert wait_until(lambda: looks.started() != running, 60, 0.2), "it was not noticed"  # noqa: B023
        assert looks.gateway_within(120), f"no answer after the {who} was killed"
        figures[f"{who} killed"] = f"answers after {time.monotonic() - started:.1f} s"
        looks.user_units()
        assert len(containers()) == 1, containers()
        none_lost(asked(LOCAL, 1, 1))
    return figures


@drill.cell("drain")
def drain(stage: Stage) -> Figures:
    """A request that takes longer than gateway.drain_seconds is cut off, and the journal tells of it."""
    at_rest(stage)
    swapped(stage, {"gateway": {"drain_seconds": 3}})
    drained()
    with under_way(stage, 3) as many:
        swapped(stage, {"gateway": {"drain_seconds": 3, "request_timeout_seconds": 602}})
        drained()
        told = many.result()
    assert all(each["error"] or not each["ended"] for each in told), told
    line = next(line for line in said() if "are cut off" in line)
    swapped(stage, {})
    drained()
    return {"the journal says": line.removeprefix("signalbox: ")}


LATENCY = """
import glob, http.client, json, os, statistics, time
RELAY = open(max(glob.glob("/run/user/*/litellm/[0-9]*/secrets/RELAY"), key=os.path.getmtime)).read()
def one(port):
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/health/liveliness", headers={"x-signalbox-relay": RELAY})
    answer = connection.getresponse()
    assert answer.read() and answer.status == 200
    connection.close()
    return (time.perf_counter() - started) * 1000
PORT = next(port for port in range(24000, 24100) if not __import__("socket").socket().connect_ex(("127.0.0.1", port)))
pairs = [(one(4000), one(PORT)) for _ in range(400)][50:]
print(json.dumps([statistics.median(each) for each in zip(*pairs)]))
"""


@drill.cell("latency")
def latency(stage: Stage) -> Figures:
    """What the way through the supervisor adds to a request: less than 2 ms."""
    at_rest(stage)
    through, direct = json.loads(hosts.run(HOST, "python3 -", stdin=LATENCY).stdout)
    assert through - direct < 2, f"{through:.2f} ms through the supervisor, {direct:.2f} ms without"
    return {"through the supervisor": f"{through:.2f} ms", "past it": f"{direct:.2f} ms",
            "added": f"{through - direct:.2f} ms"}  # fmt: skip


drill.cell("restart")(handed_over.restart)
drill.cell("restart-killed")(handed_over.restart_killed)
drill.cell("from-before")(handed_over.from_before)

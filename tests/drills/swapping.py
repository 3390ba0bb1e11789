"""What drills of the gateway's replacement share: requests that are under way meanwhile, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.drills import asking, looks
from tests.drills.deployment import Site
from tests.drills.stage import HOST, Stage
from tests.drills.tampers import AS_KEEPER, DOCKER
from tests.lab import hosts
from tests.lab.machine import wait_until

ASKING = Path(asking.__file__).read_text()
LOCAL, CLOUD = "local", "claude-haiku-4-5"
MANY = 200  # requests that are under way at once
LONG = 100  # seconds that each of them takes: longer than a deploy under that load, less than stream_timeout
CHANGED = {"gateway": {"request_timeout_seconds": 601}}
# LiteLLM comes up with it all the same, without the model: what says "healthy" of itself is not what is wanted.
# No number: LiteLLM drops the model, and goes on without it.
BROKEN = {"backends": {"lmstudio": {"models": {"local": {"litellm_params": {"rpm": "many"}}}}}}
DROPPED = "LiteLLM does not take the configuration of lmstudio/local"
RUNS = "litellm.service is enabled and runs what is on disk"
OURS = "--filter label=signalbox=gateway"


def asked(model: str, times: int, at_once: int) -> list[dict[str, Any]]:
    """Ask the gateway on the host, from the host: new connections, streams."""
    words = json.dumps({"model": model, "text": "say hello", "times": times, "at_once": at_once, "patience": 200})
    done = hosts.run(HOST, f"python3 - {looks.quoted(words)}", user="claude", stdin=ASKING, timeout=500)
    return list(json.loads(done.stdout))


def none_lost(told: list[dict[str, Any]]) -> int:
    """Return how many requests there were; AssertionError unless each has its whole answer."""
    lost = [each for each in told if each["status"] != 200 or each["error"] or not (each["ended"] and each["text"])]
    assert not lost, f"{len(lost)} of {len(told)} requests are lost, such as {lost[0]}"
    return len(told)


@contextmanager
def under_way(stage: Stage, count: int = MANY) -> Iterator[Future[list[dict[str, Any]]]]:
    """Have so many requests under way, each at the middle of its answer for a while."""
    stage.simulators.fault("lmstudio", "stall", path="/v1/chat/completions", times=count, seconds=LONG)
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(asked, LOCAL, count, count)
        begun = wait_until(lambda: len(stage.simulators.requests("lmstudio")) >= count, 60, 0.5)
        assert begun, f"{len(stage.simulators.requests('lmstudio'))} of {count} requests have begun"
        yield told
    stage.simulators.heal()


@contextmanager
def flowing(times: int = 250) -> Iterator[Future[list[dict[str, Any]]]]:
    """Have short requests all the time, two at once."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(asked, CLOUD, times, 2)


def containers() -> list[str]:
    """Return the names of the gateway's containers, those that end included."""
    return looks.answer(f"{DOCKER} ps -a {OURS} --format '{{{{.Names}}}}'", user="root").split()


def unit_run() -> str:
    """Return what tells this run of the unit."""
    return looks.answer(f"{AS_KEEPER} show -p InvocationID --value litellm.service", user="root")


def drained() -> None:
    """Wait until the old container has ended."""
    assert wait_until(lambda: len(containers()) == 1, 90, 0.5), f"there are still {containers()}"


def at_rest(stage: Stage) -> Site:
    """Return the host with its own settings, and the gateway warm."""
    stage.converged()
    site = stage.site()
    if site.plan().ok().planned(HOST):
        site.deploy().ok()
    drained()
    asked(LOCAL, 1, 1), asked(CLOUD, 1, 1)
    stage.simulators.clear()
    return site

"""The first byte of an answer through the gateway, and through LiteLLM as it comes: same host, same image, same server.

The model server answers at once, so that what is measured is the gateway and nothing else: with a real model the
difference is the same number of milliseconds, and a small part of the whole. Requests go to both in turn.
"""

from __future__ import annotations

import json
import random
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import LIMIT_SECONDS
from bench.site import inside
from tests.lab.instance import Lab

OURS, STOCK = "ours", "stock"
PROMPTS = {"a short prompt": (10, 400), "a prompt of 100000 tokens": (100_000, 100)}  # tokens, pairs of requests
PORT, STOCK_PORT = 4000, 4990
MODEL = "quick"
SAMPLES = 2000  # of the measured pairs, drawn again for the interval
KEY_FILE = "/run/user/$(id -u litellm)/litellm/*/secrets/LITELLM_MASTER_KEY"
_ENGINE = "runuser -u litellm -- env DOCKER_HOST=unix:///run/user/$(id -u litellm)/docker.sock docker"


@dataclass(frozen=True)
class First:
    """What was measured of one prompt: medians in milliseconds, the ratio, and between what it lies 19 times of 20."""

    prompt: str
    pairs: int
    ours: float
    stock: float
    ratio: float
    low: float
    high: float
    ours_processor: float
    stock_processor: float


def settings(url: str) -> dict[str, Any]:
    """Return the settings of a host whose local model is the server at this address."""
    model = {"id": MODEL, "context_length": 131072, "max_output_tokens": 8192}
    return {"backends": {"lmstudio": {"kind": "vllm", "url": url, "models": {"local": model}}}}


@contextmanager
def server() -> Iterator[str]:
    """Run the model server beside the hosts, and give its address."""
    command = [sys.executable, str(Path(__file__).with_name("quick_server.py")), Lab.current().ipv4(1), MODEL]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


@contextmanager
def stock(host: str, url: str) -> Iterator[None]:
    """Run LiteLLM on the host beside the gateway: the same image, one model, one key, nothing else set."""
    model = {"model": f"hosted_vllm/{MODEL}", "api_base": f"{url}/v1"}
    wanted = {
        "model_list": [{"model_name": "local", "litellm_params": model}],
        "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
    }
    _drained(host)
    place = "/opt/signalbox-bench.yaml"  # Docker has a /run of its own
    inside(host, f"cat > {place} && chmod 644 {place}", json.dumps(wanted))
    words = [
        "run --detach --rm --name bench-stock --env LITELLM_LOCAL_MODEL_COST_MAP=True",
        f'--env "LITELLM_MASTER_KEY=$(cat {KEY_FILE})"',
        f"--publish 127.0.0.1:{STOCK_PORT}:4000 --mount type=bind,src={place},dst={place},readonly",
        f"$({_ENGINE} inspect --format '{{{{.Image}}}}' $({_ENGINE} ps --quiet --filter label=signalbox=gateway ))",
        f"--config {place} --port 4000",
    ]
    inside(host, f"{_ENGINE} {' '.join(words)}")
    try:
        wait = f"for _ in $(seq 100); do curl -fs http://127.0.0.1:{STOCK_PORT}/health/readiness && exit; sleep 1; done"
        inside(host, f"{wait}; {_ENGINE} logs bench-stock 2>&1; exit 1")
        yield
    finally:
        inside(host, f"{_ENGINE} rm --force bench-stock; rm -f {place}")


def _drained(host: str) -> None:
    """Wait until the gateway that this one has replaced is gone."""
    inside(host, f"for _ in $(seq 100); do [ $(ls {KEY_FILE} | wc -l) = 1 ] && exit; sleep 1; done; exit 1")


def race(host: str) -> list[First]:
    """Ask both, in turn. The host's gateway has `settings` and stock LiteLLM runs beside it."""
    there = {
        OURS: (PORT, r"[l]aunch.py serve|[l]itellm --config /signalbox"),
        STOCK: (STOCK_PORT, r"[l]itellm --config /opt"),
    }
    racers = []
    for name, (port, pattern) in there.items():
        found = inside(host, f"pgrep -f {shlex.quote('^[^ ]*python[^ ]* .*(' + pattern + ')')}").split()
        racers.append(f"{name}={port}/{','.join(found)}")
    results = []
    for name, (tokens, pairs) in PROMPTS.items():
        command = f"KEY=$(cat {KEY_FILE}) python3 - {pairs} {tokens} {' '.join(map(shlex.quote, racers))}"
        told = json.loads(inside(host, command, Path(__file__).with_name("asking.py").read_text(), LIMIT_SECONDS))
        results.append(measured(name, told["racers"]))
    return results


def measured(prompt: str, told: Mapping[str, Any]) -> First:
    """Return the figures of one prompt."""
    ours, stock_ = ([first for first, _ in told[name]["seconds"]] for name in (OURS, STOCK))
    low, high = interval(ours, stock_)
    processor = [1000 * told[name]["processor"] / len(ours) for name in (OURS, STOCK)]
    figures = [1000 * statistics.median(ours), 1000 * statistics.median(stock_), _ratio(ours, stock_), low, high]
    return First(prompt, len(ours), *(round(each, 2) for each in (*figures, *processor)))


def interval(ours: Sequence[float], stock_: Sequence[float]) -> tuple[float, float]:
    """Return between what the ratio of the medians lies 19 times of 20: pairs are drawn again and again (bootstrap)."""
    draw = random.Random(1)  # noqa: S311 (the same figures give the same interval)
    pairs = list(zip(ours, stock_, strict=True))
    drawn = (draw.choices(pairs, k=len(pairs)) for _ in range(SAMPLES))
    ratios = sorted(_ratio([one for one, _ in each], [other for _, other in each]) for each in drawn)
    return ratios[SAMPLES // 40], ratios[-SAMPLES // 40]


def _ratio(ours: Sequence[float], stock_: Sequence[float]) -> float:
    return statistics.median(ours) / statistics.median(stock_)

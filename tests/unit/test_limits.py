"""How much a command may say and how long it may take, with this machine's own shell in the place of a host's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pyinfra.api import Inventory, State
from pyinfra.connectors import util
from pyinfra.context import ctx_state

from signalbox.engine import limits
from signalbox.engine.limits import ExceededError, Limit, guard, within

SMALL = Limit(100_000, 2.0)


@pytest.fixture(autouse=True)
def guarded() -> Iterator[None]:
    limits.install()
    state = State(Inventory((["@fake/box"], {})))
    guard(state)
    with ctx_state.use(state), within(SMALL):
        yield


def said(command: str, **more: Any) -> tuple[int, list[str], list[str]]:
    status, output = util.run_local_process(command, **more)
    return status, output.stdout_lines, output.stderr_lines


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        ("true", []),
        ("echo one; echo; printf 'no end'", ["one", "", "no end"]),
        ("printf 'a\\r\\nb\\n'", ["a\r", "b"]),
        ("printf '\\377\\303\\n'", ["\N{REPLACEMENT CHARACTER}" * 2]),
        ("printf '%070000d' 1", ["0" * 69_999 + "1"]),
    ],
)
def test_lines_are_those_that_were_printed(command: str, lines: list[str]) -> None:
    assert said(command) == (0, lines, [])


def test_both_streams_and_the_status() -> None:
    assert said("echo out; echo err >&2; exit 3") == (3, ["out"], ["err"])
    assert said("cat", stdin="words") == (0, ["words"], [])


@pytest.mark.parametrize(
    "command", ["yes", "yes ''", "cat /dev/zero", "yes >&2", "yes & exec yes >&2", "head -c 100001 /dev/zero"]
)
def test_what_has_no_end_is_cut_off(command: str) -> None:
    began = time.monotonic()
    with pytest.raises(ExceededError, match="more than 0 MiB"):
        said(command)
    assert time.monotonic() - began < 5


def test_what_says_nothing_comes_to_an_end() -> None:
    began = time.monotonic()
    with pytest.raises(ExceededError, match="within 2 s"):
        said("exec sleep 60")
    assert time.monotonic() - began < 5


def test_a_shorter_time_limit_of_pyinfras_own_is_told_as_pyinfra_does() -> None:
    with pytest.raises(TimeoutError):
        said("exec sleep 60", timeout=1)


def test_a_run_that_is_not_ours_is_as_it_was() -> None:
    with ctx_state.use(State(Inventory((["@fake/box"], {})))):
        assert len(said("head -c 300000 /dev/zero | tr '\\0' x")[1][0]) == 300_000


@pytest.mark.slow
def test_memory_stays_within_the_limit_whatever_comes() -> None:
    """In a process of its own: what it took at most is told by the kernel."""
    program = (
        "import resource, json\nfrom pyinfra.api import Inventory, State\nfrom pyinfra.connectors import util\n"
        "from pyinfra.context import ctx_state\nfrom signalbox.engine import limits\nlimits.install()\n"
        "state = State(Inventory((['@fake/box'], {})))\nlimits.guard(state)\nctx_state.set(state)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for command in ('yes', \"yes ''\", 'cat /dev/zero'):\n"
        "    try: util.run_local_process(command)\n    except limits.ExceededError: pass\n"
        "print(json.dumps((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60,
                          env={**os.environ, "SIGNALBOX_READ_AHEAD": "0"})  # fmt: skip
    assert json.loads(done.stdout) < 200

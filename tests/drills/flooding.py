"""Floods from a model server as a drill sees them: the gateway's memory, another lane's time, what the client got."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.drills import looks
from tests.drills.drill import Figures
from tests.drills.failures import CLOUD, FALLBACK, Kind, ask, audit, audited, fault, kinds, local_again, urls
from tests.drills.stage import Stage
from tests.lab.simulators.floods import ODD

MIB = 1024  # that the gateway may take; the lab's kernel enforces no limit
PROCESS = "$(pgrep -o -f '^/app/.venv/bin/python .*litellm --config')"
START = "/home/litellm/.config/signalbox/gateway/start"
RESTART = "systemctl --user --machine=litellm@.host restart litellm.service"
UNIT = "systemctl --user --machine=litellm@.host show litellm.service -P MemoryMax -P TasksMax -P LimitNOFILE"
LISTS = "*/models"  # the path of LM Studio's list
LASTS = 5.0  # seconds of a flood at least
BRIEF = 2.0  # seconds within which a flood is over, and too few answers of another lane tell how long they take
COUNT = "count to 150"
ENDS = ("deep", "deep event", *ODD)  # what comes to an end by itself, at once


@dataclass(frozen=True)
class Seen:
    """What was seen of one flood: what the client got, the audit's line, the gateway's memory (MiB), and how many times
    as long another lane's answers took meanwhile as just before or after, whichever was longer: the machine is busy."""

    told: dict[str, Any]
    line: dict[str, Any]
    memory: int
    slow: float


def memory() -> int:
    """Return how much memory (MiB) the gateway has held at most since the last call."""
    command = f"grep VmHWM /proc/{PROCESS}/status; echo 5 > /proc/{PROCESS}/clear_refs"
    return int(looks.answer(command, user="root").split()[1]) // 1024


def others(times: int = 3) -> list[float]:
    """Return the seconds that another lane's answers take."""
    told = ask(FALLBACK, COUNT, times=times)
    assert all(CLOUD in each["text"] or "149" in each["text"] for each in told), told
    return [each["total"] for each in told]


def met(stage: Stage, kind: Kind, name: str, *, stream: bool = True, lasts: float = LASTS) -> Seen:
    """Have a model asked whose answer is this flood; the flood ends after some seconds."""
    before, alone = len(audit()), others()
    memory()
    with ThreadPoolExecutor(1) as pool:
        with fault(stage, kind.server, "flood", text=name):
            asked = pool.submit(ask, kind.model, stream=stream, patience=900)
            started, times = time.monotonic(), others()
            while not asked.done() and (time.monotonic() - started < lasts or name in ENDS):
                times += others()
        (told,) = asked.result()
    (line,) = audited(before, 1, kind.model)
    return Seen(told, line, memory(), 1.0 if name in ENDS else slower(times, alone))


def slower(times: list[float], alone: list[float]) -> float:
    """Return how many times as long answers took as those before, or as some now."""
    return statistics.median(times) / max(map(statistics.median, (alone, others())))


def sound(name: str, seen: Seen) -> str:
    """AssertionError unless all went as it should; returns what was seen, in words."""
    by = "the fallback" if seen.line["fallback"] else "itself"
    words = (
        f"{seen.memory} MiB, another lane x{seen.slow:.1f}, {seen.line['status']} {seen.line['error_class']} by {by}"
    )
    failed = f"{name}: {words}; {str(seen.told)[:600]}; {seen.line}"
    assert seen.memory < MIB, failed
    assert seen.slow <= 2 or seen.told["total"] < BRIEF, failed
    assert seen.told["ended"], f"the client is left without an end: {failed}"
    return words


def limited() -> str:
    """AssertionError unless unit and container have their limits; returns them."""
    assert looks.answer(UNIT, user="root").split() == ["2147483648", "512", "4096"]
    command = looks.answer("tr '\\0' ' ' < /proc/$(pgrep -o -f '^docker run')/cmdline", user="root")
    wanted = "--memory 2048m --memory-swap 2048m --pids-limit 512 --ulimit nofile=4096:4096"
    assert wanted in command, command
    files = looks.answer(f"grep 'open files' /proc/{PROCESS}/limits", user="root").split()
    assert files[3:5] == ["4096", "4096"], files
    return wanted


@contextmanager
def unbounded(stage: Stage) -> Iterator[None]:
    """Have a gateway that reads all that comes; afterwards it is as before."""
    looks.answer(f"sed -i 's/^answer_limits.bound()/pass/' {START} && {RESTART}", user="root")
    try:
        assert looks.gateway_within(60)
        ask(FALLBACK)
        yield
    finally:
        stage.site().deploy().ok()


def floods_of_lists(stage: Stage, names: tuple[str, ...]) -> Figures:
    """Have the list of models flooded, while the model itself is as ever."""
    figures = {}
    for name in names:
        alone = others()
        memory()
        with fault(stage, "lmstudio", "flood", LISTS, text=name):
            started, times = time.monotonic(), others()
            while time.monotonic() - started < 2 * LASTS:
                times += others()
            (told,) = ask()
        slow, peak = slower(times, alone), memory()
        words = (
            f"{peak} MiB, another lane x{slow:.1f}, {'the server' if 'LM Studio' in told['text'] else 'the fallback'}"
        )
        assert (peak < MIB, slow <= 2, told["ended"]) == (True, True, True), f"{name}: {words}: {told}"
        figures[f"list: {name}"] = words
        local_again(kinds(urls(stage))["lm_studio"])
    return figures

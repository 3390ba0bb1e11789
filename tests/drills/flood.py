"""A model server whose answers do not end, are too large, too deep, too slow or odd: the gateway outlives them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from signalbox.settings.layers import merge
from tests.drills import looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.failures import CLOUD, FALLBACK, Kind, ask, audit, audited, fault, kinds, local_again, settings, urls
from tests.drills.stage import Stage
from tests.drills.swap import said as said_by_gateway
from tests.lab.machine import wait_until
from tests.lab.simulators.floods import FLOODS, ODD

drill = Drill(
    "flood",
    "a model server floods the gateway",
    "A model server with an endless, a huge, a deeply nested and an odd answer, in its list of models and where a "
    "model is asked: memory, task and file limits are in unit and container; the gateway's memory stays below 1 GiB, "
    "and without the bounds it does not; another lane's answer takes at most twice its time meanwhile; each answer "
    "leaves a line in the audit, and ends for the client as an answer or an error.",
)

MIB = 1024  # that the gateway may take; the lab's kernel enforces no limit
PROCESS = "$(pgrep -o -f '^/app/.venv/bin/python .*litellm --config')"
START = "/home/litellm/.config/signalbox/gateway/start"
RESTART = "systemctl --user --machine=litellm@.host restart litellm.service"
UNIT = "systemctl --user --machine=litellm@.host show litellm.service -P MemoryMax -P TasksMax -P LimitNOFILE"
LISTS = "*/models"  # the path of LM Studio's list
LASTS = 5.0  # seconds of a flood at least
COUNT = "count to 150"
SOON = {"gateway": {"cooldown_seconds": 1}}  # a drill cannot wait for the default after each flood
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
    assert seen.slow <= 2, failed
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
    looks.answer(f"sed -i 's/^bounds.bound()/pass/' {START} && {RESTART}", user="root")
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


@drill.cell("quick", fixed=True)
def quick(stage: Stage) -> Figures:
    """Limits are in unit and container; an endless answer, line, error and list, and a deep one, take no memory."""
    stage.converged()
    stage.site(settings=SOON).deploy().ok()
    kind = kinds(urls(stage))["lm_studio"]
    local_again(kind)
    figures: dict[str, object] = {"limits": limited()}
    for name, stream, why, by_fallback in (
        ("endless", False, "oversized", True),
        ("endless error", True, "server_error", True),
        ("deep", False, None, True),
        ("endless line", True, "oversized", False),
    ):
        local_again(kind)
        seen = met(stage, kind, name, stream=stream)
        figures[name] = sound(name, seen)
        assert why in (None, seen.line["error_class"]), seen.line
        assert (seen.line["fallback"] == kind.model) is by_fallback, seen.line
    words = "is longer than gateway.limits.answer_mib"
    assert any(words in each for each in said_by_gateway()), "the journal does not tell"
    local_again(kind)
    figures |= floods_of_lists(stage, ("endless lists",))

    def without() -> None:
        held = met(stage, kind, "endless", stream=False, lasts=8).memory
        figures["without the bounds"] = f"{held} MiB"
        assert held < MIB

    with unbounded(stage):
        control = must_fail(without, "a gateway that reads all that comes")
    return {**figures, "control": control}


@drill.cell("lists")
def lists(stage: Stage) -> Figures:
    """The list of models is a flood of each shape: the gateway goes on, and so does every other lane."""
    stage.converged()
    stage.site(settings=SOON).deploy().ok()
    local_again(kinds(urls(stage))["lm_studio"])
    names = tuple(name for name in FLOODS if name not in ODD and "event" not in name)
    figures = floods_of_lists(stage, names)
    stage.site().deploy().ok()
    return figures


def every(stage: Stage, server: str, names: tuple[str, ...], streams: tuple[bool, ...]) -> Figures:
    """Meet a kind of server with each of these; return what was seen."""
    stage.converged()
    all_kinds = kinds(urls(stage))
    stage.site(settings=merge(settings(all_kinds), SOON)).deploy().ok()
    kind = all_kinds[server]
    local_again(kind), ask(FALLBACK)
    figures, failed = {}, []
    for name in names:
        for stream in streams:
            local_again(kind)
            called = f"{name}, {'stream' if stream else 'whole'}"
            try:
                figures[called] = sound(called, met(stage, kind, name, stream=stream))
            except AssertionError as error:
                failed.append(str(error)[:900])
    assert not failed, f"{len(failed)} of {len(figures)}: " + "\n".join(failed)
    return figures


def _floods(server: str) -> Callable[[Stage], Figures]:
    def body(stage: Stage) -> Figures:
        return every(stage, server, tuple(name for name in FLOODS if name not in ODD), (True, False))

    body.__doc__ = f"Every flood from a server of the kind {server}, streamed and whole."
    return body


def _odd(server: str) -> Callable[[Stage], Figures]:
    def body(stage: Stage) -> Figures:
        return every(stage, server, tuple(name for name in ODD if not name[0].isdigit()), (True,))

    body.__doc__ = f"What servers are reported to send, and gateways to die of, from the kind {server}."
    return body


for _server in ("lm_studio", "vllm", "ollama"):
    drill.cell(f"floods-{_server}")(_floods(_server))
for _server in ("lm_studio", "vllm"):
    drill.cell(f"odd-{_server}")(_odd(_server))


@drill.cell("long")
def long(stage: Stage) -> Figures:
    """An answer of 100000 tokens arrives whole, and its memory is below the limit; with a lower bound it does not."""
    stage.converged()
    kind = kinds(urls(stage))["lm_studio"]

    def arrives() -> str:
        local_again(kind)
        before = len(audit())
        memory()
        with fault(stage, kind.server, "flood", text="100000 tokens"):
            (told,) = ask(kind.model, patience=900, max_tokens=200_000)
        (line,) = audited(before, 1)
        held = memory()
        words = f"{told['total']:.0f} s, {held} MiB, {line['output_tokens']} tokens, {line['error_class']}"
        assert told["text"].split() == [str(number) for number in range(100_000)], f"{words}: {told['text'][-200:]}"
        assert (told["error"], line["error_class"]) == (None, None), words
        assert held < MIB, words
        return words

    words = arrives()
    stage.site(settings={"gateway": {"limits": {"stream_events": 50_000}}}).deploy().ok()
    control = must_fail(arrives, "a bound of 50000 events")
    stage.site().deploy().ok()
    return {"100000 tokens": words, "control": control}


@drill.cell("again")
def again(stage: Stage) -> Figures:
    """Forty floods, four at once: the gateway holds no more memory after them than after the first."""
    stage.converged()
    stage.site(settings=SOON).deploy().ok()
    kind = kinds(urls(stage))["lm_studio"]
    local_again(kind)
    held = []
    for _ in range(5):
        for name in ("endless", "endless error"):
            with fault(stage, kind.server, "flood", text=name):
                ask(kind.model, stream=False, times=4, at_once=4)
            assert wait_until(lambda: "LM Studio" in ask(kind.model)[0]["text"], 60, 0.5)
        held.append(memory())
    assert max(held) < MIB, held
    assert held[-1] < held[0] + 64, held
    stage.site().deploy().ok()
    return {"MiB after 8, 16, … floods": ", ".join(map(str, held))}

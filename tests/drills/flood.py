"""A model server whose answers do not end, are too large, too deep, too slow or odd: the gateway outlives them."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from signalbox.settings.layers import merge
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.failures import FALLBACK, ask, audit, audited, fault, kinds, local_again, settings, urls
from tests.drills.flooding import MIB, floods_of_lists, limited, memory, met, sound, unbounded
from tests.drills.stage import Stage
from tests.drills.swap import said as said_by_gateway
from tests.lab.machine import wait_until
from tests.lab.simulators.floods import FLOODS, ODD
from tests.unit.gateway_plugins import loaded

drill = Drill(
    "flood",
    "a model server floods the gateway",
    "A model server with an endless, a huge, a deeply nested and an odd answer, in its list of models and where a "
    "model is asked: memory, task and file limits are in unit and container; the gateway's memory stays below 1 GiB, "
    "and without the bounds it does not; another lane's answer takes at most twice its time meanwhile; each answer "
    "leaves a line in the audit, and ends for the client as an answer or an error.",
)

PIECE = 1 << 14  # bytes in which an answer comes
SOON = {"gateway": {"cooldown_seconds": 1}}  # a drill cannot wait for the default after each flood
SHORT = {"gateway": {"limits": {"stream_events": 5000}}}  # nor for 110000 events on a busy machine; `long` has them


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
        held = [memory()]
        with ThreadPoolExecutor(1) as pool, fault(stage, kind.server, "flood", text="endless"):
            pool.submit(ask, kind.model, stream=False, patience=900)
            wait_until(lambda: held.append(memory()) or held[-1] >= MIB, 90, 0.5)
        figures["without the bounds"] = f"{max(held)} MiB"
        assert max(held) < MIB

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
    stage.site(settings=merge(merge(settings(all_kinds), SOON), SHORT)).deploy().ok()
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
    stage.site().deploy().ok()  # an earlier cell may have left its lower bound
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


@drill.cell("linear")
def linear(stage: Stage) -> Figures:  # noqa: ARG001 (it needs no host)
    """Looking at an answer takes time that is linear in its length: 16 MiB at most 32 times as long as 1 MiB."""

    def joined(answer: bytes) -> None:
        kept = b""
        for at in range(0, len(answer), PIECE):
            kept += answer[at : at + PIECE]
            *_, kept = kept.split(b"\n\n")

    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as audit, loaded(patch, Path(audit)) as plugins:

        def looked_at(answer: bytes) -> None:
            counting, judge = plugins.token_usage.AnswerUsage(), plugins.answer_judge.Judge(True, True)
            for at in range(0, len(answer), PIECE):
                counting.take(answer[at : at + PIECE], True)
                judge.take(answer[at : at + PIECE])

        def times_as_long(look: Callable[[bytes], None], line: bytes) -> float:
            def seconds(mib: int) -> float:
                answer, best = line * ((mib << 20) // len(line)), float("inf")
                for _ in range(3):
                    started = time.process_time()
                    look(answer)
                    best = min(best, time.process_time() - started)
                return best

            return seconds(16) / seconds(1)

        lines = {"one line": b"a", "no blank line": b"data: {}\n", "blank lines": b"\n", "events": b"data: {}\n\n"}
        figures: dict[str, object] = {}
        for name, line in lines.items():
            longer = times_as_long(looked_at, line)
            assert longer < 32, f"{name}: 16 MiB take {longer:.0f} times as long as 1 MiB"
            figures[name] = f"x{longer:.0f}"

        def as_before() -> None:
            longer = times_as_long(joined, b"a")
            figures["joined anew with each piece"] = f"x{longer:.0f}"
            assert longer < 32

        return {**figures, "control": must_fail(as_before, "pieces that are joined anew")}


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

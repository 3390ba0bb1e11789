"""Sub-tasks for the other lane, from inside a session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.drills import failures, looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import Stage
from tests.lab.machine import wait_until

drill = Drill(
    "skills",
    "one question up, three tasks down",
    "Escalation from a local session: exactly one cloud request, the next one is local again; three parallel local "
    "dispatches from a cloud session.",
)

LOCAL_LIMIT = 4096  # tokens of an answer in a local session; not the cloud's
BUSY = 8  # seconds that each local answer takes, so that tasks side by side are seen to be

USE = "claude-{lane} --allowedTools Bash -p {prompt} 2>/dev/null"


def _use(lane: str, command: str) -> str:
    prompt = looks.quoted(f"use the Bash tool to run `{command}`")
    return looks.answer(USE.format(lane=lane, prompt=prompt), timeout=180)


def _once(stage: Stage) -> None:
    clouds, locals_ = looks.chats(stage, "anthropic"), looks.chats(stage, "lmstudio")
    assert len(clouds) == 1, f"{len(clouds)} requests went to the cloud"
    assert "is this safe" in str(clouds[0]["body"])
    assert locals_[0]["time"] < clouds[0]["time"] < locals_[-1]["time"], "the session did not go on locally"


@drill.cell("escalation", fixed=True)
def escalation(stage: Stage) -> Figures:
    """A local session asks the cloud one question: one request, its answer comes back, and the session stays local."""
    stage.converged()
    told = _use("local", "claude-escalate 'is this safe'")
    assert "Hello from simulated Anthropic" in told, told
    _once(stage)
    sent = looks.chats(stage, "anthropic")[0]["body"]
    assert "claude-escalate" not in str(sent), "the session's conversation went to the cloud"
    assert not sent.get("tools"), "the cloud was given tools"
    assert sent["max_tokens"] > LOCAL_LIMIT, f"the cloud's answer is cut at {sent['max_tokens']} tokens"
    offered = looks.served(stage, "lmstudio", "cloud-escalator")  # the skill is where Claude Code finds it
    figures = {
        "cloud requests": 1,
        "tokens that its answer may have": sent["max_tokens"],
        "the skill is offered in": offered["model"],
        "answer": told,
    }
    stage.simulators.clear()
    looks.answer("claude-local -p 'say hello' 2>/dev/null")
    return {**figures, "control": must_fail(lambda: _once(stage), "nothing escalated")}


@drill.cell("private")
def private(stage: Stage) -> Figures:
    """From a private session nothing is escalated, and the skill is not even offered there."""
    stage.converged()
    told = _use("local-private", "claude-escalate 'is this safe'")
    assert "this session is private" in told, told
    assert not stage.simulators.requests("anthropic")
    assert not [each for each in looks.chats(stage, "lmstudio") if "cloud-escalator:" in str(each["body"])]
    return {"claude-local-private": told}


@drill.cell("dispatch")
def dispatch(stage: Stage) -> Figures:
    """A cloud session gives three tasks to the local model: all begun before one is answered, results in order."""
    stage.converged()
    command = "claude-dispatch 'say hello one' 'say hello two' 'say hello three'"
    with _busy(stage):
        told = _use("cloud", command)
    _in_order(told)
    between = _side_by_side(stage)
    offered = looks.served(stage, "anthropic", "vibe-orchestrator")

    def one_by_one() -> None:
        stage.simulators.clear()
        with _busy(stage):
            _in_order(looks.answer(command.replace("dispatch", "dispatch --parallel 1")))
        _side_by_side(stage)

    return {
        "local requests": 3,
        "between the first and the last": f"{between:.2f} s, each answered after {BUSY} s",
        "the skill is offered in": offered["model"],
        "control": must_fail(one_by_one, "--parallel 1"),
    }


@contextmanager
def _busy(stage: Stage) -> Iterator[None]:
    """Have the local server take its time for each answer."""
    with failures.fault(stage, "lmstudio", "hang", seconds=BUSY, times=3):
        yield


def _in_order(told: str) -> None:
    assert told.count("Hello from simulated LM Studio") == 3, told
    places = [told.index(f"say hello {word}") for word in ("one", "two", "three")]
    assert places == sorted(places), told


def _side_by_side(stage: Stage) -> float:
    """Return the seconds between the first request and the last; AssertionError if one waited for another's answer."""
    asked = looks.chats(stage, "lmstudio")
    assert len(asked) == 3, f"{len(asked)} local requests"
    between = asked[-1]["time"] - asked[0]["time"]
    assert between < BUSY, f"the last began {between:.1f} s after the first, which took {BUSY} s"
    return float(between)


@drill.cell("budget")
def budget(stage: Stage) -> Figures:
    """A question that has cost what it may is ended: no second request, and an exit status that says so."""
    stage.converged()
    figures: dict[str, object] = {}
    tool = "claude-dispatch --budget {usd} 'use the Bash tool to run `echo drill-$((6*7))`' -- --allowedTools Bash"
    for usd, ends in ((0.0001, True), (1, False)):
        stage.simulators.clear()
        told = looks.answer(f"{tool.format(usd=usd)} 2>&1; echo status $?")
        asked = len(looks.chats(stage, "lmstudio"))
        assert (told.splitlines()[-1] != "status 0", asked) == (ends, 1 if ends else 2), told
        figures[f"--budget {usd}"] = f"{asked} requests, {told.splitlines()[-1]}"
    return figures


@drill.cell("limit")
def limit(stage: Stage) -> Figures:
    """A task that hangs is ended at its limit, and the others are done all the same."""
    stage.converged()
    before = len(failures.audit())
    stage.simulators.fault("lmstudio", "hang", path="/v1/chat/completions", times=1)
    command = "claude-dispatch --timeout 20 --json 'say hello one' 'say hello two'; echo status $?"
    told = looks.answer(command, timeout=120)
    assert told.splitlines()[-1] == "status 124", told
    assert told.count("Hello from simulated") == 1, told
    stage.simulators.heal()
    # The gateway holds the abandoned request until its server lets go: not in the next cell's time.
    assert wait_until(lambda: len(failures.audit(before)) >= 2, 60, 0.5), failures.audit(before)
    assert wait_until(lambda: "LM Studio" in failures.ask()[0]["text"], 60, 0.5), "the gateway left it aside"
    return {"one of two hangs": "no answer within 20 s; the other answered; exit status 124"}

"""Inside a session, at a terminal: what /model leads to, and what the status line tells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.drills import failures, looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.private import egress
from tests.drills.screen import POINTER, Claude, Terminal
from tests.drills.stage import Stage
from tests.lab.machine import wait_until

drill = Drill(
    "inside",
    "inside a session, at its terminal",
    "Gateway model discovery and `/model` inside a session. A status line: lane, requested model, the backend that "
    "really answered last, context used, a warning colour after a failover.",
)

LOCAL, CLOUD = "Hello from simulated LM Studio", "Hello from simulated Anthropic"
CLOUD_MODEL = "claude-haiku-4-5 at anthropic answered"
SET, ASKS = "Set model to", "Switch model?"
RED = "\x1b[31m"  # as tmux tells it, bold apart


@contextmanager
def _away(stage: Stage) -> Iterator[None]:
    """Have the local server away, and in the end back, for the gateway too."""
    stage.simulators.fault("lmstudio", "refuse")
    try:
        yield
    finally:
        stage.simulators.heal()
        assert wait_until(lambda: "LM Studio" in failures.ask()[0]["text"], 60, 0.5), "the gateway left it aside"


def _warned(session: Claude) -> None:
    shown = session.screen(colours=True)
    assert any(RED in line and "answered" in line for line in shown.splitlines()), session.screen()


@drill.cell("status-line", fixed=True)
def status_line(stage: Stage) -> Figures:
    """The status line names lane, who answered and who pays, and the context used; red after a failover."""
    stage.converged()
    figures: dict[str, object] = {}
    with Claude("claude-local") as session:
        session.ask("say hello", LOCAL)
        figures["a local answer"] = session.status_line("local | free: local at lmstudio answered | context ")
        figures["control"] = must_fail(lambda: _warned(session), "no failover")
        with _away(stage):
            session.ask("say hello", CLOUD)
            figures["after a failover, in red"] = session.status_line("answered, local failed (")
            _warned(session)
    return figures


@drill.cell("model")
def model(stage: Stage) -> Figures:
    """/model lists what the gateway has, and what is chosen there answers; the next session is the lane's own again."""
    stage.converged()
    with Claude("claude-routed") as session:
        session.ask("say hello", CLOUD)
        session.type("/model")
        listed = [each for each in ("Haiku 4.5", "Opus 4.8", "Sonnet 4.6") if session.line(each)]
        own = session.line("\u2714")
        assert " anthropic \u00b7 bills " in own, own
        _choose(session, " local ", "lmstudio \u00b7 ")
        _changed(session)
        session.ask("say hello", LOCAL)
        chosen = session.status_line("routed | free: local at lmstudio answered | context ")
        window = int(chosen.rpartition("context ")[2].split()[0])
        assert window > 50, f"{chosen}: not of the local model's own window"
        session.type("/model claude-sonnet")
        _changed(session, "Set model to claude-sonnet")
        session.ask("say hello", CLOUD)
        back = session.status_line("routed | anthropic bills: claude-sonnet")
    told = looks.answer("cd ~/drill-inside && claude-routed -p 'say hello' 2>/dev/null")
    assert CLOUD in told, told
    return {
        "listed": ", ".join([*listed, "local"]),
        "the lane's own": own.strip(f"{POINTER} "),
        "after choosing local": chosen,
        "after /model claude-sonnet": back,
        "the next session": told,
    }


def _changed(session: Claude, words: str = SET) -> None:
    """Wait until the model is changed; where Claude Code asks whether the cost is meant, the person says yes."""
    if session.first(words, ASKS) == ASKS:
        session.press("Enter")
        session.first(words)


def _choose(session: Claude, *words: str) -> None:
    """Go down the list to the entry with these words, and take it."""
    for _ in range(20):
        if any(POINTER in line and all(word in line for word in words) for line in session.screen().splitlines()):
            session.press("Enter")
            return
        session.press("Down")
    raise AssertionError(f"{words} cannot be chosen:\n{session.screen()}")


@drill.cell("logs")
def logs(stage: Stage) -> Figures:
    """claude-logs tells the routing as it happens, in plain words, and after a failover who answered instead."""
    stage.converged()
    with Terminal("claude-logs --lane local", "~") as following:
        looks.answer("claude-local -p 'say hello' 2>/dev/null")
        told = following.line("local: local at lmstudio answered")
        with _away(stage):
            looks.answer("claude-local -p 'say hello' 2>/dev/null")
            failed = following.line("local: local FAILED")
        other = must_fail(lambda: following.first("cloud: ", seconds=3), "no request of another lane")
    assert CLOUD_MODEL in failed, failed
    return {"an answer": told, "a failover": failed, "control": other}


@drill.cell("private")
def private(stage: Stage) -> Figures:
    """In a private session `/model sonnet` and the like lead to the local model; no packet goes to a cloud."""
    stage.converged()
    figures: dict[str, object] = {}
    looks.answer("rm -rf .claude-local-private")  # the first session of a directory does what others do not
    with egress(stage) as log, Claude("claude-local --private") as session:
        for name in ("sonnet", "opus", "haiku", "claude-sonnet-4-6"):
            session.type("/clear")  # so that the screen holds one change of the model
            assert wait_until(lambda: SET not in session.screen(), 60, 0.3), session.screen()
            session.type(f"/model {name}")
            _changed(session)
            session.type("say hello")
            # With the prompt that it has for this name Claude Code may be beyond the local model's context.
            told = [LOCAL, "tokens to keep"] if name.startswith("claude") else [LOCAL]
            figures[f"/model {name}"] = f"{session.line(session.first(*told))}; nothing left"
            assert log.seen(), "the log holds nothing at all"
            assert not log.elsewhere(), f"/model {name}: packets went to {sorted(log.elsewhere())}"
            session.press("Escape")
        figures["status line"] = session.status_line("straight to")

    def cloud_lane() -> None:
        with egress(stage) as log:
            looks.answer("claude-cloud -p 'say hello'")
            assert not log.elsewhere()

    return {**figures, "control": must_fail(cloud_lane, "the lane claude-cloud")}

"""Whether a turn that ends has an answer: what the launchers' hook says to Claude Code, and the mark it leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from signalbox.host import launcher
from signalbox.host.launcher import stopped
from tests.drills.servers import LEFTOVERS, THOUGHT
from tests.unit.test_claude_settings import lane

RUN = "0123456789abcdef" * 2
CALL = '<tool_call>{"name": "Bash", "arguments": {"command": "ls"}}</tool_call>'
NONE = (
    "",
    " \n",
    "<unused24><unused49>",
    CALL,
    f"I will look.\n{CALL}",
    '{"name": "bash", "arguments": {"command": "ls"}}',
    'Now:\n```json\n{"name": "mcp__mail__send", "arguments": {"to": ["a"]}}\n```',
    "<think>I must look.</think>",
    THOUGHT.replace("{}", '{"name": "Read"}'),
)
# Of which each holds something that a printed call has.
ANSWERS = (
    "The tests pass.",
    "A model prints `<tool_call>{}</tool_call>`, and its server should have parsed it.",
    f"Such a call looks so:\n```\n{CALL}\n```\nNobody runs it.",
    f"Such a call looks so:\n```\n{CALL}\n```",
    '{"type": "bug", "input": "the parser"}',
    '{"name": "weather", "arguments": {"city": "Bonn"}}',  # somebody's own format
    "<think>I must look.</think>It is there.",
)


def told(words: str, **more: Any) -> dict[str, Any]:
    turn = {"hook_event_name": "Stop", "stop_hook_active": False, "last_assistant_message": words}
    return {**turn, **more}


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(stopped.RUN, RUN)
    return tmp_path


@pytest.mark.parametrize("words", [*NONE, *LEFTOVERS])
def test_what_is_no_answer_is_asked_for_again_once_and_then_told(words: str) -> None:
    assert stopped.verdict(told(words)) == {"decision": "block", "reason": stopped.AGAIN}
    assert stopped.verdict(told(words, stop_hook_active=True)) == {"systemMessage": stopped.WORDS}
    assert stopped.is_undone(RUN)
    assert not stopped.is_undone(RUN)


@pytest.mark.parametrize("words", ANSWERS)
def test_an_answer_is_left_alone(words: str) -> None:
    stopped.verdict(told(NONE[0]))
    assert stopped.verdict(told(words, stop_hook_active=True)) is None
    assert not stopped.is_undone(RUN)


def test_a_session_at_a_terminal_leaves_no_mark(at_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(stopped.RUN)
    assert stopped.verdict(told(CALL))
    monkeypatch.setenv(stopped.RUN, "../../x")  # not ours
    assert stopped.verdict(told(CALL))
    assert not list(at_home.rglob("*"))


def test_a_subagent_is_asked_again_and_its_run_is_not_marked() -> None:
    of = {"hook_event_name": "SubagentStop", "agent_type": "general-purpose"}
    assert stopped.verdict(told(CALL, **of)) == {"decision": "block", "reason": stopped.AGAIN}
    assert stopped.verdict(told(CALL, **of, stop_hook_active=True)) is None
    assert stopped.verdict(told(CALL, **{**of, "agent_type": ""})) is None  # which sums a conversation up
    assert not stopped.is_undone(RUN)


@pytest.mark.parametrize("said", [json.dumps(told(CALL)), "[]", "", "{", json.dumps(told("It is there."))])
def test_the_hook_ends_well_whatever_it_reads(said: str, at_home: Path) -> None:
    program = Path(launcher.__file__).with_name("launch.py")
    command = [sys.executable, str(program), "stopped"]
    done = subprocess.run(command, input=said, capture_output=True, text=True, check=True, env={"HOME": str(at_home)})
    assert (json.loads(done.stdout)["decision"] if CALL[:9] in said else done.stdout) in ("block", "")


@pytest.mark.parametrize(("name", "judged"), [("local", True), ("local-private", True), ("cloud", False)])
def test_the_answers_of_ones_own_servers_are_judged(name: str, judged: bool) -> None:
    settings = lane(name)["settings"]
    assert {"hooks.Stop", "hooks.SubagentStop"} & settings.keys() == (
        {"hooks.Stop", "hooks.SubagentStop"} if judged else set()
    )

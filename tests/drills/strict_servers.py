"""A session at a terminal, straight to a server that refuses what Claude Code sends beside the API that it knows."""

from __future__ import annotations

import json

from tests.drills import looks
from tests.drills.failures import Kind, options
from tests.drills.screen import PATIENCE, Claude
from tests.drills.server_behaviours import TOOL
from tests.drills.stage import Stage
from tests.lab.machine import wait_until

KINDS = ("llama_cpp", "lm_studio", "ollama", "vllm")
WAYS = ("direct", "private")
AGENT = {"description": "a drill", "prompt": "say hello to kumquats", "subagent_type": "general-purpose"}


def session(stage: Stage, kind: Kind, way: str) -> str:
    """Talk, call a tool, have a subagent, sum up, and go on; return what was asked. AssertionError where it fails."""
    stage.simulators.clear()
    answer = f"Hello from simulated {kind.says}"
    with (
        options(stage, kind.server, habit="strict roles"),
        Claude(f"claude-{kind.server}-{way} --allowedTools=Bash") as s,
    ):
        s.ask("the word is quince, say hello", answer)
        s.type(TOOL)
        s.first("saw the output: made-42")
        s.type(f'call the tool "Agent" with {json.dumps(AGENT)}')
        s.first('Agent "a drill" finished')
        asked = looks.chats(stage, kind.server)
        assert any("say hello to kumquats" in json.dumps(each["body"]["messages"][0]) for each in asked), "no subagent"
        s.type("/compact")
        s.first("Compacted")
        s.type("say hello on")  # the screen is drawn anew, so the server tells whether it was answered
        assert wait_until(lambda: _answered(stage, kind, "say hello on"), PATIENCE, 0.3), s.screen()
        assert "API Error" not in s.screen(), s.screen()
    asked = looks.chats(stage, kind.server)
    newest = json.dumps(asked[-1]["body"])
    assert "continued from a previous conversation" in newest, newest[-2000:]
    refused = [each for each in asked if each["status"] != 200]
    assert not refused, f"{kind.server}, {way}: {len(refused)} of {len(asked)}: {refused[0]}"
    assert not looks.chats(stage, "anthropic"), f"{kind.server}, {way}: a cloud was asked"
    return f"{len(asked)} requests, none refused"


def _answered(stage: Stage, kind: Kind, words: str) -> bool:
    chats = [each for each in looks.chats(stage, kind.server) if words in json.dumps(each["body"]["messages"][-1])]
    return any(each["status"] == 200 for each in chats)

"""`signalbox certify` against simulated servers of each kind, good and bad ones, and a real llama.cpp server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from signalbox.certify import checks
from signalbox.certify import version as claude_version
from signalbox.certify.checks import FAILED, REMARK, Row, Target, rows
from signalbox.certify.known import lacking
from signalbox.certify.server import Server
from signalbox.settings.layers import merge
from tests.drills import failures
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.real_model import CONTEXT, PORT
from tests.drills.stage import HOST, Stage
from tests.good_settings import GOOD
from tests.lab import llama_cpp
from tests.lab.instance import Lab

drill = Drill(
    "certify",
    "can a model server drive Claude Code",
    "A good simulated backend of each kind and the real llama.cpp server are judged rightly; ones that print tool "
    "calls as text, leak `<unused24>`, answer with empty content, ignore tool_choice, or lie about their context fail "
    "with that reason.",
)

# kind: its simulated server, the model there, and whether it is asked in OpenAI's format
KINDS = {
    "lm_studio": ("lmstudio", "qwen/qwen3.6-35b-a3b", False),
    "ollama": ("ollama", "gemma4:26b-a4b", False),
    "llama_cpp": ("llamacpp", "qwen3.6-27b-mtp", False),
    "vllm": ("vllm", "devstral", False),
    "openai_compatible": ("webui", "gemma4", True),
}
REASONS = {
    "tools as text": "tools-as-text",
    "unused tokens": "unused-tokens",
    "empty": "empty-response",
    "ignores tool_choice": "wrong-tool",
    "cuts calls": "truncated-edits",
    "forgets": "context-small",
    "cuts prompts": "context-small",
    "strict": "extra-inputs",
}
CLAIMED = 32768  # tokens


def target(stage: Stage, kind: str) -> Target:
    """Return the simulated server of a kind as `signalbox certify` asks it."""
    name, model, openai = KINDS[kind]
    url = failures.urls(stage)[name] + ("/api" if name == "webui" else "")
    token = "sk-00000000000000000000000000000lab" if name == "webui" else ""  # the simulator's, made up
    return Target(Server(url, model, token, patience=60, openai=openai), CLAIMED, forces_tools=kind != "ollama")


def reasons(seen: list[Row]) -> list[str]:
    """Return the symptoms of the rows that failed."""
    return list(dict.fromkeys(row.symptom for row in seen if row.result == FAILED))


def _passes(stage: Stage, kind: str) -> str:
    seen = list(rows(target(stage, kind)))
    assert not reasons(seen), [row for row in seen if row.result == FAILED]
    return f"certified, {len(seen)} rows, remarks: {', '.join(row.name for row in seen if row.result == REMARK)}"


@drill.cell("kinds", fixed=True)
def kinds(stage: Stage) -> Figures:
    """A good simulated server of each kind is certified, in OpenAI's format where it has no Anthropic endpoint."""
    stage.converged()
    figures = {kind: _passes(stage, kind) for kind in KINDS}
    stage.simulators.options("vllm", habit="tools as text")
    try:
        control = must_fail(lambda: _passes(stage, "vllm"), "a model that prints its tool calls")
    finally:
        stage.simulators.clear()
    return {**figures, "control": control}


@drill.cell("habits")
def habits(stage: Stage) -> Figures:
    """Each bad habit on each kind of server fails with its own reason, and with no other."""
    stage.converged()
    figures = {}
    for habit, reason in REASONS.items():
        for kind, (server, _, _) in KINDS.items():
            stage.simulators.options(server, habit=habit)
            try:
                seen = list(rows(target(stage, kind)))
            finally:
                stage.simulators.clear()
            # Guide 3: Ollama's Anthropic endpoint does not know tool_choice, so that is a remark there.
            # What is asked in OpenAI's format never has the fields that a strict server refuses.
            sound = {("ollama", "ignores tool_choice"), ("openai_compatible", "strict")}
            expected = [] if (kind, habit) in sound else [reason]
            assert reasons(seen) == expected, f"{habit} on {kind}: {[row for row in seen if row.result == FAILED]}"
        figures[habit] = f"{reason} on {len(KINDS)} kinds"
    figures["ignores tool_choice"] += " but Ollama, a remark there"
    figures["strict"] += " but openai_compatible, which is never sent them"
    return figures


@drill.cell("llama-cpp")
def real(_: Stage) -> Figures:
    """The real llama.cpp server: what the server does passes; what a model of random weights cannot do fails."""
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as place:
        log = Path(place) / "log"
        with llama_cpp.running("127.0.0.1", PORT, context=CONTEXT, log=log) as server:
            asked = Target(Server(server.url, "local", patience=400), CONTEXT)
            seen = {row.name: row for row in rows(asked)}
            figures |= {row.name: f"{row.result}: {row.seen[:90]}" for row in seen.values()}
            failed = {name for name, row in seen.items() if row.result == FAILED}
            # The weights never begin a call here.
            assert failed == {"tool call, streamed, and its result", "tool_choice"}, seen
            lied = checks.context(replace(asked, context=2 * CONTEXT))
            assert (lied.result, lied.symptom) == (FAILED, "context-small"), lied
            figures["twice the context claimed"] = f"failed: {lied.symptom}"
        with llama_cpp.running("127.0.0.1", PORT, context=CONTEXT, log=log, calls=True) as server:
            asked = Target(Server(server.url, "local", patience=400), CONTEXT)
            forced, called, plain = (
                look(asked) for look in (checks.tool_choice, checks.tool_round_trip, checks.answers)
            )
            assert forced.result != FAILED, forced
            assert plain.symptom == "tools-as-text", plain  # they begin a call where no tool is on offer
            for name, row in (("tool_choice", forced), ("tool call", called), ("answers", plain)):
                figures[f"weights that call: {name}"] = f"{row.result}: {row.seen[:90]}"
    return figures


def _inventory(stage: Stage, kind: str, place: Path) -> None:
    name, model, _ = KINDS[kind]
    data = {
        "backends": {
            "lmstudio": {"enabled": False},
            "box": {"kind": kind, "url": failures.urls(stage)[name], "models": {"local": {"id": model}}},
        },
    }
    (place / "inventory.py").write_text(f"boxes = [('box', {merge(GOOD, data)!r})]\n")


def _certify(place: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    program = [sys.executable, "-c", "from signalbox.commands.cli import main; main()"]
    done = subprocess.run(
        [*program, "certify", "box", "--inventory", "inventory.py", "--json", *words],
        cwd=place, capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def _claude() -> str:
    """Return the path on this machine of the Claude Code that the converged host has installed."""
    root = Lab.current().host(HOST).directory
    found = sorted(path for path in root.glob("**/claude-code-linux-x64/claude") if path.is_file())
    assert found, f"no Claude Code below {root}"
    return str(found[0])


@drill.cell("agent")
def agent(stage: Stage) -> Figures:
    """--agent: real Claude Code does the guides' nine tasks and repairs the failing test; a scripted model leads it."""
    stage.converged()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        _inventory(stage, "vllm", place)
        words = ("--agent", "--claude", _claude(), "--patience", "200")
        _, protocol, _ = _certify(place)
        assert protocol["verdict"] == "protocol only", protocol["verdict"]
        assert "Claude Code itself was not tried" in _lacks(place)
        status, report, told = _certify(place, *words)
        assert (status, report["verdict"]) == (0, "certified"), report
        assert report["server"] == "0.19.0", report["server"]
        seen = {row["name"]: row for row in report["rows"] if row["name"].startswith("Claude Code")}
        assert len(seen) == 10, list(seen)
        assert all(row["result"] == "passed" for row in seen.values()), seen
        assert _lacks(place) == "", _lacks(place)
        asked = [each for each in stage.simulators.requests("vllm") if each["path"] == "/v1/messages"]
        failed = {}
        # The first breaks the protocol; the others speak well, and cannot work.
        for habit in ("cuts calls", "gives up", "boasts"):
            stage.simulators.options("vllm", habit=habit)
            try:
                status, report, _ = _certify(place, *words)
            finally:
                stage.simulators.clear()
            assert (status, report["verdict"]) == (1, "failed"), (habit, report)
            failed[habit] = {row["name"] for row in report["rows"] if row["result"] == "failed"}
            assert "failed its certification" in _lacks(place), "a failed report certifies"
        assert report["agent"]
        assert not any(name in seen for name in failed["cuts calls"]), failed
        assert failed["gives up"] == set(seen), failed
        assert failed["boasts"] == {"Claude Code: repairs a failing test"}, failed
    figures = {re.sub("^Claude Code: ", "", name): row["seen"] for name, row in seen.items()}
    controls = (
        f"a model that gives up fails {len(failed['gives up'])} rows, one that boasts of the repair that row alone"
    )
    return {**figures, "requests": len(asked), "progress": f"{len(told.splitlines())} lines", "control": controls}


def _lacks(place: Path) -> str:
    return lacking("vllm", KINDS["vllm"][1], CLAIMED, place / "certified")


def _unset(record: dict[str, Any]) -> None:
    """Take out of a lane what makes Claude Code do as lanes need it."""
    for name in list(record["environment"]):
        if name.startswith(("CLAUDE_CODE_DISABLE_", "CLAUDE_CODE_ATTRIBUTION")):
            del record["environment"][name]
    for name in ("permissions.deny", "permissions.defaultMode", "disableAutoMode", "modelPicker"):
        del record["settings"][name]
    record["settings"]["cleanupPeriodDays"] = 30


@drill.cell("version")
def version(stage: Stage) -> Figures:
    """--claude: the pinned Claude Code passes each row; with what lanes set taken out, those rows fail."""
    stage.converged()
    seen = {row.name: row for row in claude_version.rows(_claude())}
    assert all(row.result != FAILED for row in seen.values()), [each for each in seen.values() if each.result == FAILED]
    bare = {row.name for row in claude_version.rows(_claude(), change=_unset) if row.result == FAILED}
    named = {
        "the prompt is lean", "conversations are kept",
        "tools come whole, without the vendor's header", "a session starts in manual mode",
        "/model offers no 1M variant",
    }  # fmt: skip
    assert named <= bare, f"without what lanes set these still pass: {named - bare}"
    return {**{name: row.seen for name, row in seen.items()}, "control": f"{len(bare)} rows fail without"}

"""Certification against simulated servers: good ones pass, and each bad habit fails with its own reason."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from signalbox.certify.checks import FAILED, REMARK, Row, Target, rows
from signalbox.certify.known import certified
from signalbox.certify.report import Report
from signalbox.certify.server import Refused, Server, _tokens
from signalbox.settings.layers import merge
from tests.good_settings import GOOD
from tests.lab.simulators import Client, Running, running
from tests.lab.simulators.habits import HABITS
from tests.lab.simulators.personalities.lm_studio_models import MODEL
from tests.lab.simulators.personalities.open_webui import OpenWebUI

REASONS = {
    "tools as text": "tools-as-text",
    "unused tokens": "unused-tokens",
    "empty": "empty-response",
    "ignores tool_choice": "wrong-tool",
    "cuts calls": "truncated-edits",
    "forgets": "context-small",
    "cuts prompts": "context-small",
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("simulators")) as simulators:
        yield simulators


@pytest.fixture
def target(lab: Running) -> Iterator[Target]:
    yield Target(Server(lab.lmstudio, MODEL, patience=60), 32768)
    lab.control.clear()


def _report(seen: list[Row]) -> Report:
    return Report("lmstudio", "lm_studio", MODEL, "", "", 32768, "2026-01-01T00:00:00+00:00", False, tuple(seen))


def test_a_good_server_passes(target: Target) -> None:
    report = _report(list(rows(target)))
    assert report.passed, report.reasons
    results = {row.name: row.result for row in report.rows}
    # LM Studio does not count tokens, and the simulated model calls one tool at a time.
    assert {name for name, result in results.items() if result == REMARK} == {"count_tokens", "parallel tools"}


def test_openai_format_where_there_is_no_anthropic_endpoint(lab: Running) -> None:
    asked = Target(Server(f"{lab.webui}/api", "gemma4", OpenWebUI.token, patience=60, openai=True), 32768)
    report = _report(list(rows(asked)))
    assert report.passed, report.reasons
    assert {row.name for row in report.rows if row.result == REMARK} == {
        "count_tokens", "parallel tools", "fields that Claude Code sends"
    }  # fmt: skip
    lab.control.options("webui", habit="cuts calls")
    report = _report(list(rows(asked)))
    lab.control.clear()
    assert report.reasons == ["truncated-edits"]


def test_a_prompt_whose_beginning_is_cached_is_counted_whole() -> None:
    # llama.cpp: input_tokens is what was not in its cache
    assert _tokens({"input_tokens": 13, "cache_read_input_tokens": 945, "output_tokens": 2}) == (958, 2)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_never_ends_is_given_up(lab: Running, target: Target, stream: bool) -> None:
    lab.control.fault("lmstudio", "stall", after_chunks=2)
    hurried = replace(target.server, patience=1)
    with pytest.raises(Refused, match="broke"):
        hurried.ask("Count to 20.", stream=stream)


def test_a_server_that_hangs_ends_it_after_the_first_row(lab: Running, target: Target) -> None:
    lab.control.fault("lmstudio", "hang")
    seen = list(rows(replace(target, server=replace(target.server, patience=1))))
    assert [(row.name, row.result) for row in seen] == [("answers", FAILED)]
    assert "nothing came within 1 s" in seen[0].seen


def test_every_habit_has_its_reason() -> None:
    assert set(REASONS) == set(HABITS) - {""}


@pytest.mark.parametrize("habit", REASONS)
def test_a_bad_habit_fails_with_its_reason(lab: Running, target: Target, habit: str) -> None:
    lab.control.options("lmstudio", habit=habit)
    report = _report(list(rows(target)))
    assert not report.passed
    assert report.reasons == [REASONS[habit]]


def test_a_server_whose_kind_has_no_tool_choice_is_remarked(lab: Running, target: Target) -> None:
    lab.control.options("lmstudio", habit="ignores tool_choice")
    report = _report(list(rows(replace(target, forces_tools=False))))
    assert report.passed
    assert [row.result for row in report.rows if row.symptom == "wrong-tool"] == [REMARK]


def test_a_smaller_context_than_claimed_fails(target: Target) -> None:
    report = _report(list(rows(replace(target, context=65536))))
    assert report.reasons == ["context-small"]


def test_a_server_that_is_off_ends_it_at_once(lab: Running, target: Target) -> None:
    lab.control.fault("lmstudio", "refuse")
    seen = list(rows(target))
    assert [row.result for row in seen] == [FAILED]


def test_a_stream_that_breaks_fails(lab: Running, target: Target) -> None:
    lab.control.fault("lmstudio", "cut")
    with pytest.raises(Refused, match="the stream broke"):
        target.server.ask("Count to 20.", stream=True)


def test_what_is_certified_is_known_by_its_file_or_a_guide(tmp_path: Path, target: Target) -> None:
    assert certified("lm_studio", MODEL, tmp_path) is None
    report = _report(list(rows(target)))
    file = report.write(tmp_path)
    assert str(file) in (certified("lm_studio", MODEL, tmp_path) or "")
    assert certified("ollama", MODEL, tmp_path) is None
    _report([Row("answers", FAILED, "no", "smoke")]).write(tmp_path)
    assert certified("lm_studio", MODEL, tmp_path) is None
    assert "Verified Test Results" in (certified("vllm", "devstral-123b", tmp_path) or "")


def test_the_command(lab: Running, tmp_path: Path) -> None:
    # The container of a real host could not reach this machine's loopback otherwise.
    settings = merge(
        GOOD,
        {
            "rootless_docker": {"host_loopback": True},
            "backends": {"lmstudio": {"url": lab.lmstudio, "models": {"local": {"id": MODEL}}}},
        },
    )
    (tmp_path / "inventory.py").write_text(f"boxes = [('box', {settings!r})]\n")
    command = [str(Path(sys.executable).with_name("signalbox")), "certify", "lmstudio", "--inventory", "inventory.py"]

    def run() -> tuple[int, dict[str, object]]:
        done = subprocess.run(
            [*command, "--json"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    status, report = run()
    assert (status, report["verdict"], report["reasons"]) == (0, "certified", [])
    Client.options(lab.control, "lmstudio", habit="tools as text")
    status, report = run()
    lab.control.clear()
    assert (status, report["verdict"], report["reasons"]) == (1, "failed", ["tools-as-text"])
    assert len(list((tmp_path / "certified").glob("*.json"))) == 1

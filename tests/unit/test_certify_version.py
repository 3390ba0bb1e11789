"""`signalbox certify --claude`: a Claude Code that does otherwise than lanes set is told. Real: drill certify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from signalbox.certify import trial, version
from signalbox.certify.checks import FAILED, PASSED, Row
from signalbox.certify.scripted import ANSWER, DONE, scripted
from signalbox.commands.certify import certify

BASH = {"name": "Bash", "input_schema": {"type": "object"}}
# Sends one request to where it is told, with the tools that its second argument's script names, and prints the answer.
PLAYED = """\
#!/usr/bin/python3
import json, os, sys, urllib.request
BODY = {body}
def post(body):
    request = urllib.request.Request(os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages", json.dumps(body).encode())
    return json.loads(urllib.request.build_opener(urllib.request.ProxyHandler({{}})).open(request).read())
print(post(BODY)["content"][0].get("text"))
"""


def said(url: str, text: str, **more: Any) -> Any:
    body = {"model": "local", "messages": [{"role": "user", "content": text}], **more}
    return requests.post(f"{url}/v1/messages", json=body, timeout=10)


def test_the_scripted_model_calls_what_it_is_told_to_and_is_offered() -> None:
    with scripted() as model:
        call = 'CALL Bash {"command": "true"}'
        told = said(model.url, call, tools=[BASH]).json()
        assert (told["stop_reason"], told["content"][0]["input"]) == ("tool_use", {"command": "true"})
        assert said(model.url, call).json()["content"] == [{"type": "text", "text": ANSWER}]
        result = [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x", "content": "y"}]}]
        assert said(model.url, "", messages=result).json()["content"][0]["text"] == DONE
        streamed = said(model.url, call, tools=[BASH], stream=True).text
        assert [line for line in streamed.splitlines() if line.startswith("event: ")][::5] == [
            "event: message_start", "event: message_stop"
        ]  # fmt: skip
        assert len(model.bodies) == 4


def played(place: Path, **body: Any) -> str:
    """Have a program that asks for this, in place of Claude Code."""
    tools = [{"name": name} for name in sorted(version.NEEDED)]
    whole = {"model": "local", "max_tokens": 4096, "tools": tools, "messages": [], **body}
    program = place / "claude"
    program.write_text(PLAYED.format(body=repr(whole)))
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("asks the lane's server, for the lane's model", {"model": "claude-sonnet-4-6"}),
        ("asks the lane's server, for the lane's model", {"max_tokens": 32000}),
        ("the prompt is lean", {"system": "x" * version.LEAN_BYTES}),
        ("the prompt is lean", {"tools": [{"name": name} for name in (*version.NEEDED, "WebSearch")]}),
        ("the prompt is lean", {"tools": [{"name": name} for name in ("Bash", "Read", "Edit", "Write")]}),
        ("tools come whole, without the vendor's header", {"system": "x-anthropic-billing-header: cc_version=2"}),
        ("a command in the background does not hold a run", {}),  # it has called nothing
    ],
)
def test_a_setting_that_does_not_do_its_work_fails_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, body: dict[str, Any]
) -> None:
    monkeypatch.setattr(version, "LOOKS", [each for each in version.LOOKS if each[0] == name])
    (row,) = version.rows(played(tmp_path, **body))
    assert (row.name, row.result) == (name, FAILED), row
    if "background" not in name:
        (row,) = version.rows(played(tmp_path))
        assert row.result == PASSED, row


def test_a_run_that_does_not_end_and_a_program_that_does_not_start_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version, "LOOKS", [each for each in version.LOOKS if each[0] == "the prompt is lean"])
    monkeypatch.setattr(trial, "PATIENCE", 1)
    program = tmp_path / "claude"
    program.write_text("#!/bin/sh\nsleep 30\n")
    program.chmod(0o755)
    assert [row.seen for row in version.rows(str(program))] == ["no end within 1 s"]
    program.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    assert [row.seen for row in version.rows(str(program))] == ["it ended with 3: broken"]
    program.chmod(0o644)
    assert [row.result for row in version.rows(str(program))] == [FAILED]


def test_the_command_ends_with_what_the_rows_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "claude"
    program.touch()
    for result, status in ((PASSED, 0), (FAILED, 1)):
        monkeypatch.setattr(version, "rows", lambda *_, result=result: iter([Row("a row", result, "seen")]))
        done = CliRunner().invoke(certify, ["--claude", str(program), "--json"])
        assert done.exit_code == status, done.output
        assert json.loads(done.stdout)["rows"] == [{"name": "a row", "result": result, "seen": "seen"}]


@pytest.mark.parametrize("words", [(), ("--claude", "nonsense"), ("--claude", "2.1")])
def test_the_command_wants_a_server_or_a_version(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(certify, list(words))
    assert done.exit_code != 0
    assert "VERSION" in done.output or "version such as 2.1.329" in done.output

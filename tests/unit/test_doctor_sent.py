"""What Claude Code sends to a model server, as the doctor looks at it once a version."""

from __future__ import annotations

from pathlib import Path

import pytest

from signalbox.host.doctor.check_sent import late_system
from signalbox.host.doctor.host_context import AGENT, Here

CLAUDE = """#!/usr/bin/python3
import json, os, urllib.error, urllib.request
print("asked", file=open({asked!r}, "a"))
plain = os.environ.get("CLAUDE_CODE_MODEL_CAPABILITIES") == "*=-mid_conv_system"
for roles in (["user"], ["user"] if plain else ["user", "system"])[1:]:
    body = json.dumps({{"messages": [{{"role": role, "content": "x"}} for role in roles]}}).encode()
    try:
        urllib.request.urlopen(os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages", body)
    except urllib.error.HTTPError as error:
        assert error.code == 400
"""


def _here(place: Path, monkeypatch: pytest.MonkeyPatch, capabilities: str, via: str = "direct") -> Here:
    program = place / "claude"
    program.write_text(CLAUDE.format(asked=str(place / "asked")))
    program.chmod(0o755)
    monkeypatch.setattr(Here, "home", property(lambda _: place))
    environment = {"CLAUDE_CODE_MODEL_CAPABILITIES": capabilities, "ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}
    lanes = {"private": {"via": via, "environment": environment}}
    return Here({"lanes": {"claude": str(program), "lanes": lanes}}, frozenset({AGENT}))


def test_a_version_that_does_not_heed_the_lane_is_told_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = _here(tmp_path, monkeypatch, "")
    for _ in range(2):
        (found,) = late_system(here)
        assert (found.symptom, found.subjects) == ("late-system", ("private",))
        assert "user, system" in found.seen
    assert (tmp_path / "asked").read_text().count("asked") == 2


def test_one_that_does_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = _here(tmp_path, monkeypatch, "*=-mid_conv_system")
    assert list(late_system(here)) == list(late_system(here)) == []
    assert (tmp_path / "asked").read_text() == "asked\n"


def test_lanes_through_the_gateway_are_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(late_system(_here(tmp_path, monkeypatch, "", via="gateway"))) == []
    assert not (tmp_path / "asked").exists()


def test_a_program_that_asks_nothing_is_no_finding_and_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = _here(tmp_path, monkeypatch, "*=-mid_conv_system")
    (tmp_path / "claude").write_text("#!/bin/sh\necho asked >> " + str(tmp_path / "asked"))
    assert list(late_system(here)) == list(late_system(here)) == []
    assert (tmp_path / "asked").read_text().count("asked") == 2

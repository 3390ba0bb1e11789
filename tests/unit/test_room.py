"""A session does not go to a model that has no room for its lane's prompt, and reads why."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest

from signalbox.desired.lanes import lane_records
from signalbox.desired.routing import routing_table
from signalbox.host.launcher import room
from signalbox.settings import Settings
from tests.good_settings import layers

SWITCH = {"hook_event_name": "PreModelSwitch", "from_model": "claude-sonnet-4-6", "source": "command"}


def lane(name: str, *data: dict[str, Any]) -> dict[str, Any]:
    settings = Settings.from_layers(layers(*data), host="box1")
    return lane_records(settings, routing_table(settings))["lanes"][name]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"requested_model": "local", "to_model": "local"}, True),
        ({"requested_model": "claude-router-6c6f63616c", "to_model": "claude-router-6c6f63616c[1m]"}, True),
        ({"requested_model": None, "to_model": "local"}, True),
        ({"requested_model": "haiku", "to_model": "claude-haiku-4-5"}, False),
        ({"requested_model": "claude-router-zz", "to_model": 3}, False),
        ({}, False),
    ],
)
def test_a_model_without_room_is_refused(asked: dict[str, Any], refused: bool) -> None:
    why = room.refusal({**SWITCH, **asked}, lane("cloud")["crowded"])
    assert bool(why) == refused
    if why:
        assert why.startswith("local has 32768 tokens of context")
        assert "claude-switch continue local goes on" in why


def test_what_has_room_and_a_lanes_own_model_are_not() -> None:
    assert lane("local")["crowded"] == {}
    roomy = {"backends": {"lmstudio": {"models": {"local": {"context_length": 65536}}}}}
    found = lane("cloud", roomy)
    assert found["crowded"] == {}
    assert "hooks.PreModelSwitch" not in found["settings"]
    assert set(lane("routed")["crowded"]) == {"local"}  # where it has background work, with prompts of its own
    assert lane("local", {"lanes": {"local": {"prompt": "full"}}})["crowded"] == {}


@pytest.mark.parametrize("said", ["", "[1]", json.dumps({**SWITCH, "to_model": "claude-haiku-4-5"})])
def test_the_hook_says_nothing_where_there_is_room(
    said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _ran(said, monkeypatch, capsys) == ""


def test_the_hook_denies_in_claude_codes_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(_ran(json.dumps({**SWITCH, "to_model": "local"}), monkeypatch, capsys))["hookSpecificOutput"]
    assert (told["hookEventName"], told["permissionDecision"]) == ("PreModelSwitch", "deny")
    assert "too little for this lane's prompt" in told["permissionDecisionReason"]


def _ran(said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setattr(sys, "stdin", io.StringIO(said))
    monkeypatch.setattr(room, "read_records", lambda: {"lanes": {"cloud": lane("cloud")}})
    monkeypatch.setenv("SIGNALBOX_LANE", "cloud")
    with pytest.raises(SystemExit) as ended:
        room.main([])
    assert ended.value.code == 0
    return capsys.readouterr().out

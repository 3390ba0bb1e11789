"""Each lane that goes straight to a server tells Claude Code the same things, wherever the lane was written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from signalbox.certify import agent
from signalbox.certify.checks import Target
from signalbox.certify.server import Server
from signalbox.desired.claude_settings import LEAN
from signalbox.desired.lanes import lane_records
from signalbox.host.launcher import backends_env
from signalbox.settings import Settings
from tests.good_settings import layers, routed

OF_THE_RUN = {
    "HOME",
    "PATH",
    "LANG",
    "ANTHROPIC_AUTH_TOKEN",
    "IS_SANDBOX",
}  # which a launcher leaves, or sets at a start


def of_settings() -> set[str]:
    records = lane_records(*routed(Settings.from_layers(layers(), host="box1")))
    return {*records["lanes"]["local-private"]["environment"]} - {*LEAN}


def test_a_server_written_down_by_a_person_is_a_lane_like_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backends.env"
    file.write_text("OLLAMA_BASE_URL=http://box:11434\nOLLAMA_MODEL=m\nOLLAMA_CONTEXT_LENGTH=65536\n")
    file.chmod(0o600)
    monkeypatch.setenv("CLAUDE_BACKENDS_CONFIG", str(file))
    lane = backends_env.lanes(120)["ollama"]
    assert {*lane["environment"]} == of_settings()
    assert lane["environment"]["API_TIMEOUT_MS"] == "120000"


def test_a_server_is_certified_as_a_lane_asks_it(tmp_path: Path) -> None:
    target = Target(Server("http://box:11434", "m"), 65536)
    assert {*agent.environment(target, tmp_path, 600)} - OF_THE_RUN == of_settings()

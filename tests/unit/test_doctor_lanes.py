"""What would beat a lane: the doctor tells all for which the launcher would not start it, each file once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from signalbox.host.doctor import check_lanes
from signalbox.host.doctor.check_lanes import launchers_start, settings_files, variables
from signalbox.host.doctor.host_context import AGENT, Here

LANE = ".claude-routed"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path.parent)
    monkeypatch.setattr(Here, "home", property(lambda _: tmp_path))
    environment = {"CLAUDE_CONFIG_DIR": str(tmp_path / LANE), "ANTHROPIC_BASE_URL": "http://127.0.0.1:4000"}
    lane = {
        "via": "gateway", "environment": environment, "key_file": "/key", "key_variable": "ANTHROPIC_AUTH_TOKEN",
        "effort": "high",
    }  # fmt: skip
    records = {"lanes": {"routed": lane}, "managed": str(tmp_path / "managed"), "claude": "/usr/bin/true"}
    for name in (LANE, ".claude"):
        (tmp_path / name).mkdir()
    return Here({"lanes": records, "managed": records["managed"]}, frozenset({AGENT}))


def _seen(here: Here) -> list[tuple[str, str]]:
    found = [*settings_files(here), *launchers_start(here)]
    return [(each.symptom, Path(each.path).relative_to(here.home).as_posix()) for each in found]


@pytest.mark.parametrize(
    ("file", "content", "symptom"),
    [
        (f"{LANE}/settings.json", {"env": {"ANTHROPIC_BASE_URL": "http://other"}}, "bypassed-gateway"),
        (f"{LANE}/settings.json", {"apiKeyHelper": "/bin/true"}, "bypassed-gateway"),
        (f"{LANE}/remote-settings.json", {"apiKeyHelper": "/bin/true"}, "bypassed-gateway"),
        (f"{LANE}/.claude.json", {"primaryApiKey": "sk"}, "stored-login"),
        (f"{LANE}/.claude.json", {"oauthAccount": {"a": 1}}, "stored-login"),
        (f"{LANE}/.credentials.json", {}, "stored-login"),
        (".claude/settings.json", {"apiKeyHelper": "/bin/true"}, "billed-subscription"),
        (".claude/settings.json", {"modelOverrides": {"a": "b"}}, "stray-variable"),
        (".claude/remote-settings.json", {"apiKeyHelper": "/bin/true"}, "stray-variable"),
    ],
)
def test_what_stops_a_launcher_is_told_once(here: Here, file: str, content: Any, symptom: str) -> None:
    assert _seen(here) == []
    (here.home / file).write_text(json.dumps(content))
    assert _seen(here) == [(symptom, file)]


def test_a_lane_that_is_led_to_plain_claudes_directory_is_told(here: Here) -> None:
    (here.home / LANE).rmdir()
    (here.home / LANE).symlink_to(".claude")
    assert _seen(here) == [("bypassed-gateway", LANE)]


@pytest.mark.parametrize(("lane", "told"), [("", ["shell", "manager"]), ("routed", ["manager"])])
def test_a_lanes_own_shell_is_no_surprise_and_the_manager_is(
    here: Here, monkeypatch: pytest.MonkeyPatch, lane: str, told: list[str]
) -> None:
    monkeypatch.setattr(check_lanes, "run", lambda *_, **__: (0, "ANTHROPIC_API_KEY=sk\nPATH=/bin"))
    monkeypatch.setattr(check_lanes, "_shell_lines", lambda _: iter(()))
    shell = {"SIGNALBOX_LANE": lane, "ANTHROPIC_BASE_URL": "http://127.0.0.1:4000"}
    found = variables(Here(here.expected, here.roles, asked_from=shell))
    assert ["manager" if "manager" in each.seen else "shell" for each in found] == told

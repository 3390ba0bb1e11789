"""The status line and claude-logs, from what the gateway wrote down."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from signalbox.launcher import audit, logs, speak, statusline

LANES = {
    "local": {"via": "gateway", "goes_to": "http://127.0.0.1:4000"},
    "local-private": {"via": "direct", "goes_to": "http://box:1234"},
}
ENTRY = {
    "time": "2026-11-21T08:22:19.299+00:00", "session": "s1", "lane": "local", "asked": "local", "model": "local",
    "backend": "lmstudio", "fallback": None, "error_class": None, "status": 200, "input_tokens": 21402,
    "output_tokens": 14, "cached_tokens": 0, "estimated": False, "cost_usd": 0.0, "seconds": 0.4,
    "first_byte_seconds": 0.3,
}  # fmt: skip
CLOUD = {"model": "claude-haiku-4-5", "backend": "anthropic", "fallback": "local", "error_class": "timeout"}
NOBODY = {"model": None, "backend": None, "error_class": "auth", "status": 401, "cost_usd": None}


def written(directory: Path, *entries: dict[str, Any]) -> Path:
    path = directory / "requests.jsonl"
    path.write_text("".join(json.dumps({**ENTRY, **entry}) + "\n" for entry in entries))
    return path


def line(directory: Path, *entries: dict[str, Any], lane: str = "local", used: float | None = None) -> str:
    records = {"lanes": LANES, "audit": str(written(directory, *entries))}
    session = {"session_id": "s1", "model": {"id": "local"}, "context_window": {"used_percentage": used}}
    return speak.coloured(*statusline.pieces(session, records, lane))


def test_the_last_answer_of_the_session_counts(tmp_path: Path) -> None:
    told = line(tmp_path, {"backend": "other"}, {}, {"session": "s2", "backend": "another's"}, used=34.4)
    assert told == f"{speak.GREEN}local{speak.PLAIN} | local | local at lmstudio answered | " + ("context 34 %")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (CLOUD, "local failed (timeout): claude-haiku-4-5 at anthropic answered"),
        (NOBODY, "nobody (auth) answered"),
        ({"status": 500, "error_class": "server_error"}, "nobody (server_error) answered"),
    ],
)
def test_a_failover_is_told_in_red(tmp_path: Path, entry: dict[str, Any], said: str) -> None:
    assert f"{speak.RED}{said}{speak.PLAIN}" in line(tmp_path, entry)


def test_a_model_of_the_gateways_list_is_told_by_its_own_name(tmp_path: Path) -> None:
    session = {"session_id": "s1", "model": {"id": "claude-router-6c6f63616c", "display_name": "local"}}
    records = {"lanes": LANES, "audit": str(written(tmp_path, {}))}
    told = speak.coloured(*statusline.pieces(session, records, "local"))
    assert " | local | local at lmstudio answered" in told


def test_a_private_lane_is_not_looked_up(tmp_path: Path) -> None:
    assert "straight to http://box:1234" in line(tmp_path, {}, lane="local-private")


def test_a_status_line_without_an_audit_is_short(tmp_path: Path) -> None:
    records = {"lanes": LANES, "audit": str(tmp_path / "none")}
    assert speak.coloured(*statusline.pieces({}, records, "local")) == f"{speak.GREEN}local{speak.PLAIN} | ?"


def test_only_the_end_of_a_long_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, *({"seconds": number} for number in range(100)))
    monkeypatch.setattr(audit, "TAIL", 2000)
    seconds = [entry["seconds"] for entry in audit.newest(path)]
    assert 2 < len(seconds) < 10
    assert seconds == list(range(100))[-len(seconds) :]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "local: local at lmstudio answered; 21402 tokens in, 14 out, free, 0.4 s"),
        (
            {**CLOUD, "cost_usd": 0.0247, "estimated": True},
            "local: local FAILED (timeout), claude-haiku-4-5 at anthropic answered; "
            "about 21402 tokens in, 14 out, $0.0247, 0.4 s",
        ),
        (NOBODY, "local: nobody (auth) answered; 21402 tokens in, 14 out, price unknown, 0.4 s"),
    ],
)
def test_a_request_in_words(entry: dict[str, Any], said: str) -> None:
    assert logs.in_words({**ENTRY, **entry}).split("local      ", 1)[1] == said


def test_following_goes_on_after_the_file_was_rotated(tmp_path: Path) -> None:
    path = written(tmp_path, {"session": "old"})
    new = json.dumps({**ENTRY, "session": "in two halves"})
    steps = iter(
        [("", f"{json.dumps(ENTRY)}\n{new[:20]}"), ("", f"{new[20:]}\n"), ("rotate", f"{json.dumps(ENTRY)}\n")]
    )

    def wait() -> None:
        what, text = next(steps)
        if what == "rotate":
            path.rename(tmp_path / "requests.1.jsonl")
        with path.open("a") as file:
            file.write(text)

    following = audit.follow(path, wait)
    assert [next(following)["session"] for _ in range(3)] == ["s1", "in two halves", "s1"]


def test_claude_logs_shows_what_was_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, {"lane": "cloud", "seconds": 1}, {}, {"lane": "cloud", "seconds": 2})
    (tmp_path / "lanes.json").write_text(json.dumps({"audit": str(path), "lanes": {}}))
    # As on a host: nothing of this project beside the package.
    shutil.copytree(Path(audit.__file__).parent, tmp_path / "lib/launcher")
    (tmp_path / "claude-logs").symlink_to(tmp_path / "lib/launcher/launch.py")
    done = subprocess.run(
        [tmp_path / "claude-logs", "--lane", "cloud", "-n", "1", "--no-follow", "--json"],
        env={"SIGNALBOX_LANES": str(tmp_path / "lanes.json")},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert [json.loads(line)["seconds"] for line in done.stdout.splitlines()] == [2], done.stderr

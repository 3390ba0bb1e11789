"""How fast local models read prompts, as the gateway has written it down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from signalbox.host.doctor.check_speed import prefill
from signalbox.host.doctor.host_context import AGENT, Here

READ = {
    "time": "2026-11-30T10:00:00+00:00", "backend": "llama", "model": "local", "status": 200, "fallback": None,
    "estimated": False, "input_tokens": 12000, "first_byte_seconds": 60.0,
}  # fmt: skip


def _seen(place: Path, *entries: dict[str, Any], silence: int = 120, context: int | None = 32768) -> list[str]:
    audit = place / "requests.jsonl"
    audit.write_text("".join(json.dumps(READ | each) + "\n" for each in entries))
    reading = {"context_length": context} if context else None
    backends = {"llama": {"models": {"local": {"reading": reading}}}}
    expected = {"lanes": {"audit": str(audit)}, "limits": {"silence_seconds": silence}, "backends": backends}
    return [each.seen for each in prefill(Here(expected, frozenset({AGENT})))]


def test_a_context_that_takes_longer_than_the_gateway_waits_is_told_with_what_to_write(tmp_path: Path) -> None:
    assert _seen(tmp_path, {}, {}, {"first_byte_seconds": 50.0}) == [
        "local at llama reads 200 tokens of a prompt a second, so 32768 take 164 s: stream_timeout_seconds is 120, "
        "write 250"
    ]
    assert _seen(tmp_path, {}, {}, {}, silence=250) == []
    quick = {"first_byte_seconds": 0.2}
    assert _seen(tmp_path, quick, quick, quick, silence=5) == [], "it takes a second, whatever is round"


@pytest.mark.parametrize(
    "other",
    [
        {"input_tokens": 300, "first_byte_seconds": 20.0},  # the rest was in its cache
        {"fallback": "local", "backend": "anthropic", "model": "haiku"},
        {"status": 400},
        {"estimated": True},
        {"first_byte_seconds": None},
        {"backend": "gone"},
        {"input_tokens": None},
    ],
)
def test_what_says_nothing_of_it_is_left_out(tmp_path: Path, other: dict[str, Any]) -> None:
    assert _seen(tmp_path, {}, {}, other) == []


def test_of_a_server_without_a_reading_nothing_is_said(tmp_path: Path) -> None:
    assert _seen(tmp_path, {}, {}, {}, context=None) == []

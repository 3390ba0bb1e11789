"""What plain Claude Code keeps: a deploy chooses where the person has not, and follows its own choice alone."""

from __future__ import annotations

import re
from typing import Any

import pytest

from signalbox.settings.layers import merge
from signalbox.shell.manifest import Entry, entry_path
from tests.answers import answered, text_field
from tests.plan.simulated import deploy

pytestmark = pytest.mark.slow

PATH = "/home/claude/.claude/settings.json"


def having(text: str, ours: str = "") -> dict[str, Any]:
    """Answer as a host on which the person's settings hold this text, of which `ours` was our choice."""
    entry = ("entry", PATH, Entry("choice", PATH, ours).to_json()) if ours else ()
    at = ("at", PATH, "f", "600", "claude", "claude", "", "", "9", "1-1")
    return {
        "fake_responses": {
            entry_path("choice", PATH): answered("kind", "choice", *entry, *at),
            f"text claude {PATH}": answered("text", PATH, text_field(text)),
        }
    }


def chosen(data: dict[str, Any]) -> list[str]:
    return [each["command"] for each in deploy(data).sent if "s.update" in each["command"]]


@pytest.mark.parametrize(
    ("text", "ours", "changes"),
    [
        ("{}", "", True),
        ('{"model": "sonnet"}', "", True),
        ('{"cleanupPeriodDays": 7}', "", False),  # the person's
        ('{"cleanupPeriodDays": 3650}', "", False),
        ('{"cleanupPeriodDays": 3650}', "cleanupPeriodDays=3650", False),
        ('{"cleanupPeriodDays": 90}', "cleanupPeriodDays=90", True),  # ours, of before
        ('{"cleanupPeriodDays": 7}', "cleanupPeriodDays=90", False),  # ours once
        ("{ half", "", False),
        ("[]", "", False),
    ],
)
def test_a_persons_choice_stays_and_ours_follows_the_settings(text: str, ours: str, changes: bool) -> None:
    assert bool(chosen(having(text, ours))) == changes


def test_the_settings_decide_how_long() -> None:
    (command,) = chosen(merge(having("{}"), {"sessions": {"keep_days": 5}}))
    assert re.search(r"cleanupPeriodDays\W{0,30}: 5}", command), command

"""The doctor tells budgets that come to their end, and a cloud that stands in again and again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from signalbox.host.doctor.check_money import spending
from signalbox.host.doctor.host_context import AGENT, Here


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here({"lanes": {"lanes": {}, "audit": str(tmp_path / "requests.jsonl")}}, frozenset({AGENT}))


def found(here: Here) -> list[tuple[str, str]]:
    return [(each.symptom, each.seen) for each in spending(here)]


def answered(here: Here, *several: dict[str, Any], ago: timedelta = timedelta()) -> None:
    entry = {"time": (datetime.now(UTC) - ago).isoformat(), "backend": "anthropic", "model": "claude-haiku-4-5",
             "fallback": "local", "error_class": "unreachable", "status": 200, "cost_usd": 0.01}  # fmt: skip
    with Path(here.expected["lanes"]["audit"]).open("a") as file:
        file.writelines(json.dumps(entry | each) + "\n" for each in several)


@pytest.mark.parametrize(
    ("spent", "told"),
    [
        (7.99, []),
        (8.0, [("budget-nearly", "8.00 of 10 USD of this day's budget of lane routed are spent")]),
        (10.5, [("budget-used-up", "10.50 of 10 USD of this day's budget of lane routed are spent")]),
        (float("nan"), []),
        ("much", []),
    ],
)
def test_a_budget_that_comes_to_its_end_is_told(here: Here, spent: Any, told: list[tuple[str, str]]) -> None:
    budget = {"of": "lane", "name": "routed", "usd": 10.0, "per": "day", "stops": "all", "since": "", "spent": spent}
    Path(here.expected["lanes"]["audit"]).with_name("budgets.json").write_text(json.dumps({"budgets": [budget]}))
    assert found(here) == told


def test_three_billed_answers_for_one_cause_in_ten_minutes_are_told(here: Here) -> None:
    answered(here, *[{}] * 3, ago=timedelta(minutes=11))
    answered(here, {}, {}, {"error_class": "timeout"}, {"cost_usd": 0.0}, {"fallback": None, "asked": "another"})
    answered(here, {"backend": None, "status": 503})
    assert found(here) == []
    answered(here, {"cost_usd": None})
    assert found(here) == [
        ("billed-again", "3 answers of the last ten minutes were billed in place of local: unreachable")
    ]


def test_a_model_that_answers_itself_again_is_well(here: Here) -> None:
    answered(here, {}, {}, {})
    assert found(here)
    answered(here, {"fallback": None, "asked": "local", "backend": "lmstudio", "cost_usd": 0.0})
    assert found(here) == []
    answered(here, {}, {})
    assert found(here) == []


def test_without_audit_or_budgets_there_is_nothing_to_tell(here: Here) -> None:
    assert found(here) == []
    assert found(Here({"lanes": {"lanes": {}}}, frozenset({AGENT}))) == []

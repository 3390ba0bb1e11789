"""What may be spent is counted over restarts and rotations, and ends what bills."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.gateway_plugins import plugins as plugins

NOW = datetime.datetime(2026, 11, 18, 13, 45, tzinfo=datetime.UTC)  # a Wednesday
DAY = {"of": "all", "name": "", "usd": 10.0, "per": "day", "stops": "fallbacks"}
SONNET = {"model_info": {"id": "anthropic/claude-sonnet-4-6"}, "litellm_params": {"model": "claude-sonnet-4-6"}}
LOCAL = {"model_info": {"id": "lmstudio/local"}, "litellm_params": {"model": "lm_studio/qwen"}}


def line(usd: float | None, time: str = "2026-11-18T09:00:00.000+00:00", **more: Any) -> str:
    """Return a line of the audit."""
    return json.dumps({"time": time, "lane": "routed", "backend": "anthropic", "cost_usd": usd, **more}) + "\n"


class Bench:
    """Ledgers over one directory, whose clock is turned by hand."""

    def __init__(self, plugins: Any, directory: Path) -> None:
        self.module, self.directory, self.now = plugins.budget, directory, NOW
        self.file = directory / "requests.jsonl"

    def ledger(self, *limits: dict[str, Any]) -> Any:
        return self.module.Ledger(str(self.directory), list(limits), lambda: self.now)

    def write(self, *lines: str) -> None:
        with self.file.open("a") as file:
            file.write("".join(lines))


@pytest.fixture
def bench(plugins: Any, tmp_path: Path) -> Bench:
    return Bench(plugins, tmp_path)


def test_a_used_up_budget_ends_what_bills_in_anothers_place_and_nothing_else(bench: Bench) -> None:
    ledger = bench.ledger(DAY)
    bench.write(line(9.99))
    assert ledger.used_up(SONNET, "local", True) is None
    bench.write(line(0.01))
    assert ledger.used_up(SONNET, "local", True)["spent"] == 10.0
    assert ledger.used_up(SONNET, "cloud", False) is None
    assert ledger.used_up(LOCAL, "local", True) is None


def test_where_it_stops_all_nothing_is_billed_any_more(bench: Bench) -> None:
    ledger = bench.ledger({**DAY, "stops": "all"})
    bench.write(line(11))
    assert ledger.used_up(SONNET, "cloud", False)
    assert ledger.used_up(LOCAL, "local", False) is None


@pytest.mark.parametrize(
    ("limit", "lane", "record", "counts"),
    [
        ({"of": "lane", "name": "routed"}, "routed", "anthropic", True),
        ({"of": "lane", "name": "routed"}, "cloud", "anthropic", False),
        ({"of": "cloud", "name": "anthropic"}, "cloud", "anthropic", True),
        ({"of": "cloud", "name": "anthropic"}, "cloud", "foundry", False),
    ],
)
def test_lanes_and_clouds_have_budgets_of_their_own(
    bench: Bench, limit: dict[str, str], lane: str, record: str, counts: bool
) -> None:
    ledger = bench.ledger({**DAY, **limit})
    bench.write(line(10, lane=lane, backend=record))
    deployment = {**SONNET, "model_info": {"id": f"{record}/claude-sonnet-4-6"}}
    assert bool(ledger.used_up(deployment, lane, True)) == counts


@pytest.mark.parametrize(
    ("per", "before", "within"),
    [
        ("hour", "2026-11-18T12:59:59.999+00:00", "2026-11-18T13:00:00.000+00:00"),
        ("day", "2026-11-17T23:59:59.999+00:00", "2026-11-18T00:00:00.000+00:00"),
        ("week", "2026-11-15T23:59:59.999+00:00", "2026-11-16T00:00:00.000+00:00"),
        ("month", "2026-10-31T23:59:59.999+00:00", "2026-11-01T00:00:00.000+00:00"),
    ],
)
def test_a_period_begins_in_utc(bench: Bench, per: str, before: str, within: str) -> None:
    ledger = bench.ledger({**DAY, "per": per})
    bench.write(line(10, before))
    assert ledger.used_up(SONNET, "local", True) is None
    bench.write(line(10, within))
    assert ledger.used_up(SONNET, "local", True)


def test_the_next_day_it_begins_anew(bench: Bench) -> None:
    ledger = bench.ledger(DAY)
    bench.write(line(10))
    assert ledger.used_up(SONNET, "local", True)
    bench.now += datetime.timedelta(hours=11)
    assert ledger.used_up(SONNET, "local", True) is None


def test_it_is_counted_once_over_restarts_rotations_and_by_two_gateways(bench: Bench) -> None:
    bench.write(line(3))
    first = bench.ledger(DAY)
    first.count()
    second = bench.ledger(DAY)  # the one that replaces it, while the first still serves
    bench.write(line(2))
    for each in (first, second):
        each.count()
    bench.file.rename(bench.directory / "requests.1.jsonl")
    bench.write(line(1))
    for each in (first, second):
        assert each.used_up(SONNET, "local", True) is None
    bench.write(line(4))
    found = [each.used_up(SONNET, "local", True)["spent"] for each in (first, second, bench.ledger(DAY))]
    assert found == [10.0] * 3
    assert json.loads((bench.directory / "budgets.json").read_text())["budgets"][0]["spent"] == 10.0


def test_what_rotation_has_taken_away_is_still_counted(bench: Bench) -> None:
    bench.write(line(10, "2026-11-02T09:00:00.000+00:00"))
    bench.ledger({**DAY, "per": "month"}).count()
    bench.file.unlink()
    bench.write(line(0.5))
    assert bench.ledger({**DAY, "per": "month"}).used_up(SONNET, "local", True)["spent"] == 10.5


def test_another_budget_is_counted_anew_from_the_audit(bench: Bench) -> None:
    bench.write(line(6))
    bench.ledger(DAY).count()
    lower = bench.ledger({**DAY, "usd": 5.0})
    assert lower.used_up(SONNET, "local", True)["spent"] == 6.0


def test_lines_that_are_half_written_or_none_are_no_money(bench: Bench) -> None:
    ledger = bench.ledger(DAY)
    whole = line(10)
    bench.write("nonsense\n", '{"cost_usd": 10}\n', line(None), "[" * 9000 + "\n", whole[:30])
    assert ledger.used_up(SONNET, "local", True) is None
    bench.write(whole[30:])
    assert ledger.used_up(SONNET, "local", True)["spent"] == 10.0


@pytest.mark.parametrize("kept", ["", "[]", '{"budgets": 3}', '{"budgets": [{}], "inode": "x", "offset": 0}'])
def test_a_file_that_is_none_is_left_aside(bench: Bench, kept: str) -> None:
    (bench.directory / "budgets.json").write_text(kept)
    bench.write(line(10))
    assert bench.ledger(DAY).used_up(SONNET, "local", True)


def test_what_nobody_knows_the_price_of_is_not_within_a_budget(bench: Bench) -> None:
    ledger = bench.ledger(DAY)
    unknown = {"model_info": {"id": "mistral/medium"}, "litellm_params": {"model": "mistral/medium"}}
    assert ledger.used_up(unknown, "local", True)["unpriced"]
    for price in ("plan", {"input": 0.0, "cached": 0.0, "output": 0.0}):
        assert ledger.used_up({**unknown, "model_info": {**unknown["model_info"], "price": price}}, "a", True) is None


def test_without_a_budget_nothing_is_read_or_written(bench: Bench) -> None:
    (bench.directory / "budgets.json").write_text("of an earlier one")
    ledger = bench.ledger()
    bench.write(line(1e6))
    assert ledger.used_up(SONNET, "local", True) is None
    assert not (bench.directory / "budgets.json").exists()


def record(**more: Any) -> dict[str, Any]:
    """Return a record of the audit: a cloud answered in a local model's place."""
    return {"time": "2026-11-18T13:45:00.000+00:00", "fallback": "local", "error_class": "unreachable",
            "backend": "anthropic", "cost_usd": 0.01, **more}  # fmt: skip


class Called:
    """Whether the doctor is called, with a clock that is turned by hand."""

    def __init__(self, plugins: Any, directory: Path, ledger: Any) -> None:
        self.clock, self.file = 0.0, directory / "look"
        self._alerts = plugins.alerts.Alerts(ledger, lambda: self.clock)
        self._alerts.begin()
        assert self.file.exists()  # else systemd may miss the first call

    def by(self, *records: dict[str, Any]) -> bool:
        self.file.write_text("")
        for each in records:
            self._alerts.wrote(each)
        return bool(self.file.read_text())


def test_the_third_billed_answer_for_one_cause_in_ten_minutes_calls_the_doctor(
    bench: Bench, plugins: Any, tmp_path: Path
) -> None:
    called = Called(plugins, tmp_path, bench.ledger())
    assert not called.by(record(), record(), record(error_class="timeout"), record(fallback=None))
    assert not called.by(record(cost_usd=0.0), record(backend=None, cost_usd=None))
    assert called.by(record())
    assert not called.by(record(), record())  # from there on it is counted anew
    called.clock = 601.0
    assert not called.by(record())
    called.clock = 602.0
    assert called.by(record(), record())
    assert called.by(*[record(fallback="haiku", cost_usd=None)] * 3)  # what nobody knows the price of is billed, too


def test_a_budget_calls_the_doctor_at_80_and_at_100_percent_once(bench: Bench, plugins: Any, tmp_path: Path) -> None:
    ledger = bench.ledger(DAY)
    called = Called(plugins, tmp_path, ledger)

    def after(usd: float) -> bool:
        bench.write(line(usd))
        ledger.count()
        return called.by(record(fallback=None))

    assert [after(usd) for usd in (7.9, 0.1, 0.1, 2.0, 5.0)] == [False, True, False, True, False]

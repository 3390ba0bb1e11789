"""Which drills `make test` runs on a day: all come round, and no day takes too long."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest

from tests.drills import record, turns
from tests.drills.drill import NAMES

NEW_YEAR = date(2027, 12, 30)  # of a leap year
MOST_SECONDS = 320  # what long cells may add to a run of `make test` without caches


@pytest.mark.parametrize("first", [NEW_YEAR + timedelta(number) for number in range(70)])
def test_every_drill_comes_round(first: date) -> None:
    days = [turns.on(first + timedelta(ahead)) for ahead in range(turns.PERIOD)]
    assert set().union(*days) == set(NAMES)
    for name in turns.LONG:
        assert sum(name in day for day in days) == 1
    assert first <= turns.following("demo", first) < first + timedelta(turns.PERIOD)
    for day in days:
        assert sum(turns.LONG.get(name, 0) for name in day) <= MOST_SECONDS


def test_a_drill_that_is_not_known_to_be_long_runs_every_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "NAMES", (*NAMES, "new"))
    assert all("new" in turns.on(NEW_YEAR + timedelta(number)) for number in range(turns.PERIOD))


def test_only_drills_are_long_and_the_page_names_them() -> None:
    assert set(turns.LONG) <= set(NAMES)
    page = " ".join((record.DOCS / "README.md").read_text().split())
    named = re.search(r"the longer ones: ([\w, ]+), each every fourth day", page)
    assert named is not None
    assert set(re.split(r", | and ", named[1])) == set(turns.LONG)


def test_the_day_may_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNALBOX_DAY", "2027-12-30")
    assert turns.today() == NEW_YEAR
    monkeypatch.setenv("SIGNALBOX_DAY", "tomorrow")
    with pytest.raises(ValueError, match=r"^SIGNALBOX_DAY: 'tomorrow' is no day; write one like 2026-11-30$"):
        turns.today()

"""One cell of every drill, as `make test` runs it: the quick ones every day, the long ones by turns."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest

from tests.drills import record, turns
from tests.drills.drill import NAMES, load
from tests.drills.run import run
from tests.drills.stage import Stage
from tests.lab.machine import require_machine

TODAY = turns.today()  # one day for the whole run


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    require_machine()
    with Stage() as stage:
        yield stage


@pytest.mark.timeout(1200)  # the first that needs a converged host waits for it
@pytest.mark.parametrize("name", NAMES)
def test_fixed_cell(name: str, stage: Stage) -> None:
    if (turn := turns.following(name, TODAY)) != TODAY:
        pytest.skip(f"its turn is on {turn}; now: make drill NAME={name}")
    cell, waited = load(name).fixed, stage.waited
    result = run(cell, stage)
    assert result.passed, record.log(cell).read_text()
    took = result.seconds - (stage.waited - waited)
    if took > turns.QUICK_SECONDS and name not in turns.LONG:
        warnings.warn(
            f"{took:.0f} s; if an idle machine takes as long, write it into tests/drills/turns.py", stacklevel=1
        )

"""One cell of every drill, as `make test` runs it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.drills import record
from tests.drills.drill import NAMES, load
from tests.drills.run import run
from tests.drills.stage import Stage
from tests.lab.machine import require_machine


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    require_machine()
    with Stage() as stage:
        yield stage


@pytest.mark.timeout(1200)  # the first that needs a converged host waits for it
@pytest.mark.parametrize("name", NAMES)
def test_fixed_cell(name: str, stage: Stage) -> None:
    cell = load(name).fixed
    result = run(cell, stage)
    assert result.passed, record.log(cell).read_text()

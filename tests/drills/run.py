"""Runs cells, one after the other on one stage, and keeps what they showed."""

from __future__ import annotations

import time
import traceback

from tests.drills import record
from tests.drills.drill import Cell
from tests.drills.stage import Stage
from tests.lab.machine import step, write


def run(cell: Cell, stage: Stage) -> record.Result:
    """Run a cell and keep its result. A failure is a result; its traceback goes to record.log(cell)."""
    started = time.monotonic()
    error, figures = "", {}
    log = record.log(cell)
    log.unlink(missing_ok=True)
    try:
        with step(f"{cell.drill}: {cell.title}"):
            figures = dict(cell.body(stage))
    except Exception as problem:  # whatever it is, the other cells must still run
        error = str(problem).strip() or type(problem).__name__
        write(log, traceback.format_exc(), 0o600)
        stage.failed()
    return record.save(cell, error=error, figures=figures, seconds=time.monotonic() - started)

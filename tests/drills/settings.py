"""Bad settings stop a run before anything is executed: the table of them, and a table that is wrong."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.record import PROJECT
from tests.drills.stage import Stage

drill = Drill(
    "settings",
    "a bad setting is told in whole, and nothing is touched",
    "At least 60 bad settings, at most three per rule, every message asserted whole, and no command was executed on "
    "any host.",
)

TEST = PROJECT / "tests" / "plan" / "test_bad_settings.py"
TABLE = TEST.with_name("bad_settings.yaml")
FEWEST = 60


def _passed(directory: Path, *arguments: str) -> int:
    """Run the test that is in this directory; return how many tests passed, AssertionError if one did not."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(directory / TEST.name), "-p", "no:cacheprovider",
         f"--rootdir={PROJECT}", f"--config-file={PROJECT / 'pyproject.toml'}", *arguments],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return int(re.findall(r"(\d+) passed", done.stdout)[-1])


@drill.cell("bad-settings", fixed=True)
def bad_settings(stage: Stage) -> Figures:  # noqa: ARG001 (no host is needed: that is what is shown)
    """Every bad setting is refused with its whole message and no command executed; a wrong message is noticed."""
    passed = _passed(TEST.parent)
    rows = len(re.findall(r"^- rule:", TABLE.read_text(), re.M))
    assert rows >= FEWEST, rows
    assert passed > rows, f"{passed} tests passed for {rows} bad settings"
    with tempfile.TemporaryDirectory() as directory:
        shutil.copy(TEST, directory)
        text, count = re.subn(r"(did you mean )", r"\1perhaps ", TABLE.read_text(), count=1)
        assert count == 1
        (Path(directory) / TABLE.name).write_text(text)
        control = must_fail(lambda: _passed(Path(directory), "-x"), "one word of one message changed")
    return {"bad settings": rows, "tests passed": passed, "control": control}

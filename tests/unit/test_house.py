"""The house: what lies where, and that imports run downwards; see docs/architecture.md."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
LONGEST = 300  # lines of a module: more is a folder by subject
LOOSE = 8  # modules of signalbox/ that are in none of its folders


def modules() -> list[Path]:
    return sorted([*(PROJECT / "signalbox").rglob("*.py"), *(PROJECT / "tasks").rglob("*.py")])


def lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(directory)}
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_an_import_that_runs_upwards_is_told(tmp_path: Path) -> None:
    for name in ("signalbox", "tasks"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    told = lint_imports(tmp_path)
    assert told.returncode == 0, told.stdout
    low = tmp_path / "signalbox/desired/billing.py"
    text = low.read_text()
    for upwards in (
        "from signalbox.facts import placed",
        "from tasks import gateway",
        "import signalbox.commands.plan",
    ):
        low.write_text(f"{text}\n\ndef late() -> None:\n    {upwards}\n")
        told = lint_imports(tmp_path)
        assert told.returncode == 1
        assert "signalbox.desired is not allowed to import" in told.stdout


def test_few_modules_are_loose() -> None:
    loose = [path.name for path in (PROJECT / "signalbox").glob("*.py") if path.name != "__init__.py"]
    assert len(loose) <= LOOSE, loose


def test_no_module_is_long() -> None:
    long = {str(path.relative_to(PROJECT)): len(path.read_text().splitlines()) for path in modules()}
    assert {name: lines for name, lines in long.items() if lines > LONGEST} == {}


def test_templates_hold_templates_alone() -> None:
    assert [path.name for path in (PROJECT / "templates").rglob("*.py")] == []


def test_no_module_lies_in_two_places() -> None:
    assert [path.name for path in (PROJECT / "signalbox").rglob("*") if path.is_symlink()] == []


def test_each_folder_says_what_it_is() -> None:
    folders = {path.parent for path in modules()}
    assert [folder.name for folder in folders if not (folder / "__init__.py").exists()] == []


def by_name(path: Path) -> Iterator[str]:
    """Yield the modules of ours that a file imports by a name in a string."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"\A(?:signalbox|tasks)\.[\w.]+\Z", node.value)


# Whoever imports by name: a command and its options are loaded when they are asked for; on a host, the package is
# `signalbox.launcher`, and here another.
BY_NAME = {
    "signalbox/commands/cli.py",
    "signalbox/host/launcher/launch.py",
    "signalbox/host/doctor/doctor.py",
    "signalbox/host/supervisor/launch.py",
    "signalbox/desired/gateway_config.py",  # a setting of LiteLLM's
    "signalbox/runs.py",  # the tasks, which lie elsewhere in a clone than in a wheel
    "signalbox/engine/recognition.py",  # reads what a deploy file imports
    "signalbox/engine/readahead/question.py",  # the facts that the last run has asked, as its record names them
}


def test_no_other_import_goes_past_the_contract() -> None:
    found = {str(path.relative_to(PROJECT)) for path in modules() if any(by_name(path))}
    assert found <= BY_NAME

"""Claude Code itself against the server: the nine rows of guide 2, and guide 3's smoke test. In a directory of its own.

Claude Code's tools run on this machine with your rights, so these rows run only when they are asked for (--agent).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from signalbox.certify.checks import FAILED, LEAKS, PASSED, REMARK, Row, Target

TOML = 'name = "infra"\nmodel = "devstral"\n[limits]\nsteps = 12\n'
BUGS = (
    "def mean(xs):\n    return sum(xs) / len(x)\n\ndef last(xs):\n    return xs[len(xs)]\n\n"
    "def is_even(n):\n    return n % 2 = 0\n"
)
APP = (
    "from fastapi import FastAPI\n\napp = FastAPI()\n\n\n@app.get('/health')\ndef health():\n"
    "    return {'status': 'bad'}\n"
)
NEEDED = "import fastapi, httpx, pytest"
TEST = (
    "from fastapi.testclient import TestClient\n\nfrom app import app\n\n\ndef test_health():\n"
    "    answer = TestClient(app).get('/health')\n    assert answer.json() == {'status': 'ok'}\n"
)


@dataclass(frozen=True)
class Task:
    """A row: the prompt, and a pattern that the answer must hold. flags: of claude."""

    name: str
    prompt: str
    holds: str
    flags: tuple[str, ...] = ()


# Guide 2, "Verified Test Results"
TASKS = (
    Task("simple prompt", "Say OK", r"\w"),
    Task("file reading", "Read infra.toml with the Read tool and say what limits.steps is.", r"\b12\b"),
    Task("headless mode", "Say SELFHOSTED_CLAUDE_TEST_OK", r"SELFHOSTED_CLAUDE_TEST_OK"),
    Task("without permission questions", "Use the Bash tool to run `echo drill-$((6*7))`", r"drill-42"),
    Task("without --model", "Say OK", r"\w"),
    Task("code generation", "Write a Python function that reverses a string. Only code.", r"def \w+\("),
    Task("code review", "Review bugs.py. It has 3 bugs; give a line number for each.", r"(?s)2.*5.*8"),
    Task("reasoning", "Mutex or semaphore: when which? 3 bullet points.", r"(?is)mutex.*semaphore|semaphore.*mutex"),
    Task("error recovery", "Read missing.txt with the Read tool; if it is not there, say NOT THERE.", r"(?i)not there"),
)


def rows(target: Target, claude: str, patience: int = 600) -> Iterator[Row]:
    """Yield a row a task, and one for the smoke test. `claude`: the program; `patience`: seconds a task."""
    with tempfile.TemporaryDirectory(prefix="signalbox-certify-") as place:
        sandbox = Path(place) / "work"
        sandbox.mkdir()
        (sandbox / "infra.toml").write_text(TOML)
        (sandbox / "bugs.py").write_text(BUGS)
        for task in TASKS:
            yield _row(target, claude, sandbox, task, patience)
        yield _smoke(target, claude, sandbox, patience)


def environment(target: Target, place: Path) -> dict[str, str]:
    """Return Claude Code's environment: the server and nothing of the caller's accounts."""
    slots = {f"ANTHROPIC_DEFAULT_{slot}_MODEL": target.server.model for slot in ("OPUS", "SONNET", "HAIKU", "FABLE")}
    return {
        "HOME": str(place),
        "PATH": os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin"),
        "LANG": "C.UTF-8",
        "CLAUDE_CONFIG_DIR": str(place / ".claude"),
        "ANTHROPIC_BASE_URL": target.server.url,
        "ANTHROPIC_AUTH_TOKEN": target.server.token or "none",
        "ANTHROPIC_MODEL": target.server.model,
        **slots,
        "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1",
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(target.context),
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "4096",
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
        "DISABLE_UPDATES": "1",
        "IS_SANDBOX": "1",
    }


def _claude(target: Target, claude: str, sandbox: Path, prompt: str, patience: int) -> tuple[int, str, float]:
    started = time.monotonic()
    try:
        done = subprocess.run(
            [claude, "--dangerously-skip-permissions", "-p", prompt],
            cwd=sandbox,
            env=environment(target, sandbox.parent),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 124, f"no end within {patience} s", time.monotonic() - started
    except OSError as error:
        return 127, f"{claude}: {error.strerror}", 0.0
    return done.returncode, (done.stdout or done.stderr).strip(), time.monotonic() - started


def _row(target: Target, claude: str, sandbox: Path, task: Task, patience: int) -> Row:
    status, said, seconds = _claude(target, claude, sandbox, task.prompt, patience)
    name = f"Claude Code: {task.name}"
    if status or not said:
        return Row(name, FAILED, f"it ended with {status}: {said[-200:]}", "" if said else "empty-response")
    if LEAKS.search(said):
        return Row(name, FAILED, said[:120], "unused-tokens")
    if not re.search(task.holds, said):
        return Row(name, FAILED, f"not what was asked for: {said[:120]!r}")
    return Row(name, PASSED, f"{seconds:.1f} s")


def _smoke(target: Target, claude: str, sandbox: Path, patience: int) -> Row:
    name = "Claude Code: repairs a failing test"
    if subprocess.run([sys.executable, "-c", NEEDED], capture_output=True, check=False).returncode:
        return Row(name, REMARK, "not run: this Python lacks fastapi, httpx or pytest")
    (sandbox / "app.py").write_text(APP)
    (sandbox / "test_app.py").write_text(TEST)
    prompt = (
        f"Run `{sys.executable} -m pytest -q` with the Bash tool, and fix app.py until the test passes."
        " Do not change the test."
    )
    status, said, seconds = _claude(target, claude, sandbox, prompt, patience)
    if (sandbox / "test_app.py").read_text() != TEST:
        return Row(name, FAILED, "it changed the test")
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"], cwd=sandbox, capture_output=True, timeout=120, check=False
    )
    if status or tested.returncode:
        return Row(name, FAILED, f"the test still fails after {seconds:.0f} s: {said[-160:]}")
    return Row(name, PASSED, f"{seconds:.1f} s")

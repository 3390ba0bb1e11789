"""Claude Code itself against the server: the nine rows of guide 2, and guide 3's smoke test. In a directory of its own.

Claude Code's tools run on this machine with your rights, so these rows run only when they are asked for (--agent).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from signalbox.certify.checks import AGENT, FAILED, LEAKS, PASSED, REMARK, Begins, Row, Target
from signalbox.host.launcher.backends_env import OUTPUT
from signalbox.host.shared.claude_environment import of_one_server

TOML = 'name = "infra"\nmodel = "devstral"\n[limits]\nsteps = 12\n'
BUGS = (
    "def mean(xs):\n    return sum(xs) / len(x)\n\ndef last(xs):\n    return xs[len(xs)]\n\n"
    "def is_even(n):\n    return n % 2 = 0\n"
)
APP = (
    "from fastapi import FastAPI\n\napp = FastAPI()\n\n\n@app.get('/health')\ndef health():\n"
    "    return {'status': 'bad'}\n"
)
NEEDED = ("fastapi", "httpx", "pytest")
INSTALLING = 300  # seconds
LONG = 20  # seconds in which a function reverses a word
TEST = (
    "from fastapi.testclient import TestClient\n\nfrom app import app\n\n\ndef test_health():\n"
    "    answer = TestClient(app).get('/health')\n    assert answer.json() == {'status': 'ok'}\n"
)


SMOKE = f"{AGENT}repairs a failing test"


@dataclass(frozen=True)
class Task:
    """A row: the prompt, and whether an answer is one. names_model: whether claude gets --model."""

    name: str
    prompt: str
    good: Callable[[str], bool]
    names_model: bool = True


def _says(pattern: str) -> Callable[[str], bool]:
    return lambda said: re.search(pattern, said) is not None


def _three_bullets(said: str) -> bool:
    """Three points at least, of both words."""
    points = re.findall(r"^\s*(?:[-*•]|\d+[.)])\s+\S", said, re.MULTILINE)
    return len(points) >= 3 and all(re.search(word, said, re.IGNORECASE) for word in ("mutex", "semaphore"))


def _reverses(said: str) -> bool:
    """The function that was written reverses a string: it is called."""
    fenced = re.search(r"```(?:python)?\n(.*?)```", said, re.DOTALL)
    code = fenced[1] if fenced else said
    names = re.findall(r"^def (\w+)\(", code, re.MULTILINE)
    if not names:
        return False
    program = f"{code}\nassert {names[0]}('signal') == 'langis'\n"
    try:
        done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, timeout=LONG, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


# Guide 2, "Verified Test Results"
TASKS = (
    Task("simple prompt", "Say OK", _says(r"(?i)\bOK\b")),
    Task("file reading", "Read infra.toml with the Read tool and say what limits.steps is.", _says(r"\b12\b")),
    Task("headless mode", "Say SELFHOSTED_CLAUDE_TEST_OK", _says(r"SELFHOSTED_CLAUDE_TEST_OK")),
    Task("without permission questions", "Use the Bash tool to run `echo drill-$((6*7))`", _says(r"drill-42")),
    Task("without --model", "Say OK", _says(r"(?i)\bOK\b"), names_model=False),
    Task("code generation", "Write a Python function that reverses a string. Only code.", _reverses),
    Task(
        "code review", "Review bugs.py. It has 3 bugs; give a line number for each.", _says(r"(?s)\b2\b.*\b5\b.*\b8\b")
    ),
    Task("reasoning", "Mutex or semaphore: when which? 3 bullet points.", _three_bullets),
    Task(
        "error recovery",
        "Read missing.txt with the Read tool; if it is not there, say NOT THERE.",
        _says(r"(?i)not there"),
    ),
)


def rows(target: Target, claude: str, patience: int = 600, begins: Begins = lambda _: nullcontext()) -> Iterator[Row]:
    """Yield a row a task, and one for the smoke test.

    claude: the program. patience: seconds a task. begins: is around each row, with its name; for progress.
    """
    with tempfile.TemporaryDirectory(prefix="signalbox-certify-") as place:
        sandbox = Path(place) / "work"
        sandbox.mkdir()
        (sandbox / "infra.toml").write_text(TOML)
        (sandbox / "bugs.py").write_text(BUGS)
        for task in TASKS:
            with begins(f"{AGENT}{task.name}"):
                row = _row(target, claude, sandbox, task, patience)
            yield row
        with begins(SMOKE):
            row = _smoke(target, claude, sandbox, patience)
        yield row


def environment(target: Target, place: Path, patience: int) -> dict[str, str]:
    """Return Claude Code's environment: the server and nothing of the caller's accounts. patience: seconds."""
    model = target.server.model
    return {
        "HOME": str(place),
        "PATH": os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin"),
        "LANG": "C.UTF-8",
        **of_one_server(
            target.server.url, str(place / ".claude"), model, model, window=(target.context, OUTPUT), patience=patience
        ),
        "ANTHROPIC_AUTH_TOKEN": target.server.token or "none",
        "IS_SANDBOX": "1",
    }


def _claude(target: Target, claude: str, sandbox: Path, prompt: str, patience: int, *words: str) -> tuple[int, str]:
    """Let Claude Code work; return its exit status and its words. What it has started ends with it."""
    try:
        process = subprocess.Popen(
            [claude, "--dangerously-skip-permissions", *words, "-p", prompt],
            cwd=sandbox,
            env=environment(target, sandbox.parent, patience),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    except OSError as error:
        return 127, f"{claude}: {error.strerror}"
    try:
        said, errors = process.communicate(timeout=patience)
        return process.returncode, (said or errors).strip()
    except subprocess.TimeoutExpired:
        return 124, f"no end within {patience} s"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _row(target: Target, claude: str, sandbox: Path, task: Task, patience: int) -> Row:
    name = f"{AGENT}{task.name}"
    words = ("--model", target.server.model) if task.names_model else ()
    started = time.monotonic()
    status, said = _claude(target, claude, sandbox, task.prompt, patience, *words)
    if status or not said:
        return Row(name, FAILED, f"it ended with {status}: {said[-200:]}", "" if said else "empty-response")
    if LEAKS.search(said):
        return Row(name, FAILED, said[:120], "unused-tokens")
    if not task.good(said):
        return Row(name, FAILED, f"not what was asked for: {said[:120]!r}")
    return Row(name, PASSED, f"{time.monotonic() - started:.1f} s")


def _smoke(target: Target, claude: str, sandbox: Path, patience: int) -> Row:
    python = _python(sandbox.parent / "python")
    if python is None:
        return Row(SMOKE, REMARK, f"not run: this machine cannot install {', '.join(NEEDED)} from PyPI")
    (sandbox / "app.py").write_text(APP)
    (sandbox / "test_app.py").write_text(TEST)
    prompt = f"Run `{python} -m pytest -q` with the Bash tool, and fix app.py until the test passes."
    started = time.monotonic()
    status, said = _claude(target, claude, sandbox, f"{prompt} Do not change the test.", patience)
    seconds = time.monotonic() - started
    if LEAKS.search(said):
        return Row(SMOKE, FAILED, said[:120], "unused-tokens")
    if (sandbox / "test_app.py").read_text() != TEST:
        return Row(SMOKE, FAILED, "it changed the test")
    # Its own words are not believed: the test is run once more.
    tested = subprocess.run([python, "-m", "pytest", "-q"], cwd=sandbox, capture_output=True, timeout=120, check=False)
    if status or tested.returncode:
        return Row(SMOKE, FAILED, f"the test still fails after {seconds:.0f} s: {said[-160:]}")
    return Row(SMOKE, PASSED, f"{seconds:.1f} s")


def _python(place: Path) -> str | None:
    """Return a Python with what the program needs, in an environment of its own; None where none can be had."""
    python = str(place / "bin/python")
    for command in (
        [sys.executable, "-m", "venv", str(place)],
        [python, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check", *NEEDED],
    ):
        try:
            if subprocess.run(command, capture_output=True, timeout=INSTALLING, check=False).returncode:
                return None
        except (OSError, subprocess.TimeoutExpired):
            return None
    return python

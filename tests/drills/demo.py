"""`make demo` from a clean clone, as somebody who has never seen this machine would run it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.record import PROJECT
from tests.drills.stage import PREFIX, Stage
from tests.lab.instance import Lab

drill = Drill(
    "demo",
    "one command from a clean clone to a host to try",
    "`make demo` from a clean clone on a machine without caches, then again with caches in under 2 minutes: it ends "
    "with a converged host, a table of what was checked, and the commands to log in and try.",
)

LAB = f"{PREFIX}trydemo"[:10]
WARM_SECONDS = 120  # told beside what was measured: a busy machine is no failure of the project
COLD_SECONDS = 1500
# Where the clients of package registries keep what they fetched.
CACHES = {"XDG_CACHE_HOME": "", "UV_CACHE_DIR": "uv", "npm_config_cache": "npm", "PIP_CACHE_DIR": "pip"}


@contextmanager
def _clone(caches: Path | None = None) -> Iterator[tuple[Path, dict[str, str]]]:
    """Give a clean clone and an environment with a lab of its own, and take both away."""
    with tempfile.TemporaryDirectory(prefix="signalbox-") as directory:
        clone = Path(directory) / "signalbox"
        subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(clone)], check=True)
        environment = {**os.environ, "SIGNALBOX_LAB": LAB}
        environment.pop("VIRTUAL_ENV", None)
        if caches:
            environment |= {name: str(caches / below) for name, below in CACHES.items()}
        try:
            yield clone, environment
        finally:
            subprocess.run(["make", "clean"], cwd=clone, env=environment, capture_output=True, check=False, timeout=120)


def _demo(clone: Path, environment: dict[str, str], limit: float) -> tuple[float, str]:
    """Run `make demo` and return its seconds and what it printed."""
    started = time.monotonic()
    process = subprocess.Popen(
        ["make", "demo"], cwd=clone, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        stdout, stderr = process.communicate(timeout=limit * 5)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # make's children too: they would go on with a lab that is taken away
        stdout, stderr = process.communicate()
    seconds = time.monotonic() - started
    assert process.returncode == 0, f"ended with {process.returncode}: {(stdout + stderr)[-3000:]}"
    return seconds, stdout


def _tried(printed: str, environment: dict[str, str]) -> str:
    """Log in with the very command that the demo printed and ask the local lane; return the answer."""
    login = next((line.strip() for line in printed.splitlines() if line.strip().startswith("ssh ")), "")
    assert login, f"no login command in:\n{printed}"
    words = [word for word in login.split() if word != "-t"]
    done = subprocess.run(
        [*words, "claude-local -p 'say hello'"],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Hello from simulated LM Studio" in done.stdout, done.stdout
    return done.stdout.strip()


def _left() -> str:
    """Return what the demo's lab has left on this machine."""
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    lab = Lab(LAB)
    found = [name for name, where in ((lab.bridge, links), (lab.table, tables)) if name in where]
    return ", ".join(found + ([str(lab.state)] if lab.state.exists() else []))


def _cell(caches: Path | None, limit: float) -> Figures:
    with _clone(caches) as (clone, environment):
        seconds, printed = _demo(clone, environment, limit)
        told = _tried(printed, environment)
        again, _ = _demo(clone, environment, WARM_SECONDS)
        assert _left(), "control: the lab that is up is not seen"
        subprocess.run(["make", "clean"], cwd=clone, env=environment, capture_output=True, check=True, timeout=120)
        assert not _left(), f"`make clean` left {_left()}"
        control = must_fail(lambda: _tried(printed, environment), "the host taken away")
    within = f"{'within' if seconds < limit else 'MORE THAN'} {limit:.0f} s"
    took = f"{seconds:.0f} s, {within}"
    return {"make demo": took, "claude-local": told, "again": f"{again:.0f} s", "control": control}


@drill.cell("warm", fixed=True)
def warm(stage: Stage) -> Figures:  # noqa: ARG001 (the demo has a lab of its own)
    """From a clean clone with caches, in under 2 minutes; `make clean` leaves nothing."""
    return _cell(None, WARM_SECONDS)


@drill.cell("cold")
def cold(stage: Stage) -> Figures:  # noqa: ARG001 (the demo has a lab of its own)
    """From a clean clone without any cache."""
    caches = Path(tempfile.mkdtemp(prefix="signalbox-caches-"))
    try:
        return _cell(caches, COLD_SECONDS)
    finally:
        shutil.rmtree(caches, ignore_errors=True)

"""A deploy as a person watches it, at a terminal and in a pipe, against real hosts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.drills.deployment import LIMIT_SECONDS, Site
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.record import PROJECT
from tests.drills.stage import HOST, Stage, lab_host
from tests.lab import services
from tests.unit.watched import MOVES, QUIET, Ended, Terminal

drill = Drill(
    "watched",
    "a deploy as people watch one",
    "A deploy from bare watched at a terminal of 80 columns and 24 lines: a line a host, warnings as they come, the "
    "end in words; one that fails tells the host's own words and the next step; a pipe gets whole lines. The raw log "
    "is kept, and no secret is in it.",
)

BARE = lab_host("watched")
_SHOWN = re.compile(r"(\d+)/(\d+) +\d+:\d\d ")


@contextmanager
def _terminal(site: Site, *arguments: str) -> Iterator[tuple[Terminal, Path]]:
    with tempfile.TemporaryDirectory(prefix="signalbox-state-") as state:
        command = [sys.executable, "-m", "pyinfra", str(site.inventory()), "deploy.py", "-y", *arguments]
        terminal = Terminal(command, PROJECT, _environment(state), (80, 24), LIMIT_SECONDS)
        try:
            yield terminal, Path(state)
        finally:
            terminal.child.close(force=True)


def _environment(state: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in QUIET}
    return {**kept, **services.environment(), "XDG_STATE_HOME": state, "TERM": "xterm-256color"}


def _log(state: Path) -> str:
    (path,) = (state / "signalbox" / "logs").glob("*.log")
    text = path.read_text()
    for name, value in services.environment().items():
        assert value not in text, f"{name} is in the raw log"
    return text


def _left_well(ended: Ended) -> None:
    assert ended.is_cursor_there
    assert not _SHOWN.search(ended.screen.splitlines()[-1]), ended.screen
    for never in ("Traceback", "hooks.py", "No hosts remaining"):
        assert never not in ended.screen, ended.screen


@drill.cell("bare")
def bare(stage: Stage) -> Figures:
    """From bare at 80x24: the line goes on from the first operation to the last, and nothing else is drawn over."""
    stage.bare(BARE)
    seen: list[int] = []
    began = time.monotonic()
    with _terminal(stage.site(BARE)) as (terminal, state):
        while not terminal.is_over():
            lines = [line for line in terminal.screen().splitlines() if line.startswith(f"{BARE} ")]
            assert len(lines) <= 1, terminal.screen()
            if lines and (found := _SHOWN.search(lines[0])):
                seen.append(int(found[1]))
        ended = terminal.ended()
        log = _log(state)
    assert ended.status == 0, ended.screen
    _left_well(ended)
    assert seen == sorted(seen)
    assert len(set(seen)) > 20, set(seen)
    done = next(line for line in ended.screen.splitlines() if line.startswith(f"[{BARE}] done: "))
    lines = len(ended.screen.splitlines())
    assert lines < 60, ended.screen
    assert len(log.splitlines()) > 150
    stage.discard(BARE)
    return {
        "it told at its end": done, "lines on the screen": lines, "lines in the raw log": len(log.splitlines()),
        "seconds": round(time.monotonic() - began), "operations that were seen": len(set(seen)),
    }  # fmt: skip


@drill.cell("fails")
def fails(stage: Stage) -> Figures:
    """One that fails: where, the host's own words, what is not done, the next step; with the cause gone all is well."""
    site = stage.converged()
    cause = ("--data", "gateway.entrypoint=/none")

    def run(*arguments: str) -> tuple[Ended, str]:
        with _terminal(site, *arguments) as (terminal, state):
            ended = terminal.ended()
            log = _log(state)
        _left_well(ended)
        return ended, log

    def well(*arguments: str) -> None:
        ended, _ = run(*arguments)
        assert ended.status == 0, ended.screen

    ended, log = run(*cause)
    assert ended.status == 1, ended.screen
    flat = " ".join(ended.screen.split())
    found = re.search(rf"\[{HOST}\] failed at \d+ of \d+, Gateway: [^,]+", flat)
    assert found, ended.screen
    for words in ("why: ", "not done: it, and ", "next: ", f"why {HOST} failed is told above"):
        assert words in flat, f"{words}: {ended.screen}"
    said = flat.partition("why: ")[2].partition(" not done: ")[0]
    assert said.split()[0] in log
    control = must_fail(lambda: well(*cause), "an entrypoint that is not there")
    well()
    return {"it told": found[0], "the host's words": said[:300], "control": control}


@drill.cell("piped", fixed=True)
def piped(stage: Stage) -> Figures:
    """In a pipe: whole lines, one a section, none that draws; stdout stays empty."""
    site = stage.converged()
    with tempfile.TemporaryDirectory(prefix="signalbox-state-") as state:
        done = subprocess.run(
            [sys.executable, "-m", "pyinfra", str(site.inventory()), "deploy.py", "-y"], cwd=PROJECT,
            env=_environment(state), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=LIMIT_SECONDS,
        )  # fmt: skip
        log = _log(Path(state))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr[-2000:]
    assert not MOVES.search(done.stderr)
    sections = [
        line for line in done.stderr.splitlines() if re.match(rf"\[{HOST}\] [\w ]+: operation \d+ of \d+", line)
    ]
    assert len(sections) > 10, done.stderr
    assert f"[{HOST}] nothing changed: all " in done.stderr
    return {"lines": len(done.stderr.splitlines()), "of them sections": len(sections), "raw": len(log.splitlines())}

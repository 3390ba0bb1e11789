"""Whole runs as they are watched: at terminals of many sizes, in pipes, ended by keys and signals.

What is tried is what such displays did to people elsewhere; each test names who told it.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.unit.watched import KEY, MOVES, Runs, Terminal

pytestmark = pytest.mark.slow

DONE = "done: 4 operations changed something"


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (120, 30), (200, 60)])
def test_a_run_is_a_line_a_host_and_leaves_its_end(tmp_path: Path, size: tuple[int, int]) -> None:
    """Textualize/rich#971: lines that the terminal wraps are drawn again and again."""
    seen = []

    def look(at: Terminal) -> None:
        seen.append(at.until("3/4"))

    ended = Runs(tmp_path, ["box1", "box2"]).watched(size=size, at=look)
    assert ended.status == 0
    lines = seen[0].splitlines()
    assert sum("3/4" in line for line in lines) == 2, seen[0]
    assert "2 hosts: 2 at work" in lines[-1]
    assert "Gateway" in lines[-2]
    flat = " ".join(ended.screen.split())
    assert f"[@fake/box1, @fake/box2] {DONE}" in flat
    assert "/4 " not in ended.screen, "no line of the display is left"
    assert flat.count("the disk of @fake/box1 is nearly full") == 1
    assert "The whole log: " in flat
    assert ended.is_cursor_there
    assert "\x1b[?25l" not in ended.raw, "it is never hidden: kill -9 leaves it, too"


def test_more_hosts_than_lines(tmp_path: Path) -> None:
    """VectifyAI/OpenKB#266, hua-bang/pulse-agent#923: a region higher than the screen fills the scrollback."""
    seen = []
    runs = Runs(tmp_path, [f"box{number}" for number in range(60)])
    runs.directory.joinpath("deploy.py").write_text(
        runs.directory.joinpath("deploy.py").read_text().replace("warn(", "(")
    )
    ended = runs.watched(at=lambda at: seen.append(at.until("60 hosts")))
    assert "60 hosts" in seen[0].splitlines()[-1]
    assert len(ended.screen.splitlines()) < 15, ended.screen
    assert "60 hosts: 60 done" in ended.screen


@pytest.mark.parametrize("less", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"CI": "true"}, {"PYINFRA_PROGRESS": "off"}])
def test_who_asks_for_less_gets_plain_lines(tmp_path: Path, less: dict[str, str]) -> None:
    """docker/compose#9604, tqdm/tqdm#1392, opsmill/infrahub#4429: logs and dumb terminals full of control sequences."""
    ended = Runs(tmp_path, ["box1"], delay=0.05).watched(**less)
    assert ended.status == 0
    assert not MOVES.search(ended.raw), ended.raw
    assert "[@fake/box1] Gateway: operation 3 of 4" in ended.screen


def test_a_pipe_gets_whole_lines_one_a_section(tmp_path: Path) -> None:
    """docker/compose#1490, #4780: a log of empty lines, or of nothing at all. FORCE_COLOR is no terminal."""
    done = Runs(tmp_path, ["box1"], delay=0.05).piped(FORCE_COLOR="1")
    assert (done.returncode, done.stdout) == (0, "")
    assert not MOVES.search(done.stderr)
    assert [line for line in done.stderr.splitlines() if "operation " in line and "[" in line] == [
        "[@fake/box1] Base: operation 1 of 4, 0:00",
        "[@fake/box1] Gateway: operation 3 of 4, 0:00",
    ]
    assert "Success" not in done.stderr


def test_a_reader_who_goes_does_not_end_the_run(tmp_path: Path) -> None:
    """python/cpython#90650, pypa/pip#13881: `| head` ended the program, with a traceback."""
    runs = Runs(tmp_path, ["box1"], delay=0.2)
    done = runs.shell("set -o pipefail; RUN 2>&1 | head -n 1; echo status $?")
    assert done.stdout.splitlines()[-1] == "status 0", done
    assert "Traceback" not in done.stdout + done.stderr
    assert "done: 4 operations changed something" in runs.log()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_of_other_letters(tmp_path: Path, encoding: str) -> None:
    """rsalmei/alive-progress#15, mesonbuild/meson#9556: UnicodeEncodeError in the middle of the work."""
    ended = Runs(tmp_path, ["b" * 40]).watched(size=(40, 10), PYTHONIOENCODING=encoding, at=lambda at: at.until("2/4"))
    assert ended.status == 0
    assert ended.raw.isascii()
    assert "\\u" not in ended.raw


def test_a_file_of_stdout_stays_empty_while_the_terminal_is_drawn(tmp_path: Path) -> None:
    """docker-archive/compose-cli#1853: progress in the file that was meant for results."""
    runs = Runs(tmp_path, ["box1"], delay=0.1)
    program = tmp_path / "program.py"
    into = "import os; os.dup2(os.open('out.txt', os.O_WRONLY | os.O_CREAT), 1)\n"
    program.write_text(into + program.read_text())
    ended = runs.watched()
    assert (tmp_path / "out.txt").read_bytes() == b""
    assert DONE in " ".join(ended.screen.split())


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_run_that_is_ended_says_where(tmp_path: Path, number: signal.Signals, status: int) -> None:
    """Textualize/rich#3673, jdx/mise#217, spaam/svtplay-dl#93: no cursor, and the prompt behind the progress bar."""

    def end(at: Terminal) -> None:
        at.until("2/4")
        at.child.kill(number)

    ended = Runs(tmp_path, ["box1"], delay=2).watched(at=end)
    assert ended.status == status, ended.screen
    assert "[@fake/box1] stopped at 2 of 4, Base: users exist" in ended.screen
    assert "run the same again" in ended.screen
    assert ended.is_cursor_there
    assert ended.raw.endswith("\n")
    assert "Traceback" not in ended.screen


def test_a_run_that_is_killed_leaves_a_cursor(tmp_path: Path) -> None:
    def end(at: Terminal) -> None:
        at.until("2/4")
        at.child.kill(signal.SIGKILL)

    ended = Runs(tmp_path, ["box1"], delay=2).watched(at=end)
    assert ended.status == -signal.SIGKILL
    assert ended.is_cursor_there


def test_a_terminal_that_changes_its_size(tmp_path: Path) -> None:
    """lihop/godot-xterm#123, github/copilot-cli#1804: each change of size leaves a copy of all."""

    def change(at: Terminal) -> None:
        at.until("1/4")
        at.resize(50, 12)
        at.until("2/4")
        at.resize(120, 40)
        at.until("4/4")

    ended = Runs(tmp_path, ["box1", "box2"], delay=1).watched(at=change)
    assert ended.status == 0
    assert ended.screen.count("The whole log") == 1
    assert sum("/4 " in line for line in ended.screen.splitlines()) <= 6, ended.screen  # what was wrapped once


def test_a_question_is_not_drawn_over(tmp_path: Path) -> None:
    """pyinfra asks before it goes on; a display that draws meanwhile hides the question."""

    def answer(at: Terminal) -> None:
        screen = at.until("Do this? [Y/n]:")
        assert screen.rstrip().endswith("Do this? [Y/n]:"), screen
        assert "[@fake/box1] 4 operations would change something" in screen
        at.child.sendline("n")

    ended = Runs(tmp_path, ["box1"]).watched("--serial", at=answer)
    assert ended.status == 0
    assert "nothing was changed" in ended.screen
    assert "\\x1b" not in ended.screen


def test_a_failure_is_told_with_the_host_s_words_and_no_secret(tmp_path: Path) -> None:
    runs = Runs(tmp_path, ["box1", "box2"], delay=0.1, fails="box2")
    ended = runs.watched()
    assert ended.status == 1
    assert "[@fake/box2] failed at 3 of 4, Gateway: the image is there" in ended.screen
    assert "E: no space left" in ended.screen
    assert "not done: it, and 1 operation after it" in ended.screen
    assert "[@fake/box1] done: 4 operations changed" in ended.screen
    assert "2 hosts: 1 done, 1 failed" in ended.screen
    for never in (KEY, "\x1b]0;", "\x1b[2J", "hooks.py", "No hosts remaining"):
        assert never not in ended.raw
    assert KEY not in runs.log()
    assert "E: no space left" in runs.log()
    assert "*****" in runs.log()


def test_the_last_host_that_fails_ends_it_in_words(tmp_path: Path) -> None:
    done = Runs(tmp_path, ["box1"], delay=0.05, fails="box1").piped()
    assert done.returncode == 1
    assert "[@fake/box1] failed at 3 of 4, Gateway: the image is there" in done.stderr
    assert "the run has ended: no host is left; why @fake/box1 failed is told above" in done.stderr
    for never in ("hooks.py", "No hosts remaining", "Traceback", KEY):
        assert never not in done.stderr


def test_v_shows_the_raw_lines_and_they_are_kept(tmp_path: Path) -> None:
    runs = Runs(tmp_path, ["box1"], delay=0.05)
    done = runs.piped("-y", "-v")
    assert "--> Starting operation: Gateway | the unit runs" in done.stderr
    assert "--> Starting operation: Gateway | the unit runs" in runs.log()
    assert "The whole log: " in done.stderr


def test_json_is_json_alone(tmp_path: Path) -> None:
    done = Runs(tmp_path, ["box1"], delay=0.05).piped("-y", "--json")
    assert json.loads(done.stdout)["results"]["totals"]["success"] == 4


def test_what_says_nothing_for_long_says_that_it_goes_on(tmp_path: Path) -> None:
    """ansible/ansible#12010, #5932, #3887: hours without a word, and CI servers that end what is silent."""
    runs = Runs(tmp_path, ["box1"], delay=1.2)
    program = tmp_path / "program.py"
    program.write_text("from signalbox.engine.watching import display\ndisplay._SILENCE = 0.5\n" + program.read_text())
    done = runs.piped()
    assert "[@fake/box1] still Gateway: the image is there, 0:0" in done.stderr

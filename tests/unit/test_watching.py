"""A run as it is shown: its lines, its end, its log. Where such displays have failed people, it says whom."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from signalbox.desired.symptoms import cure
from signalbox.engine.output import style
from signalbox.engine.watching import raw_log, screen
from signalbox.engine.watching.course import DONE, FAILED, READING, STOPPED, WAITING, Course, clock, some
from signalbox.engine.watching.messages import read
from signalbox.engine.watching.summary import Result, summary
from tests.unit.test_shown import TEXT, unsafe


def course(*names: str) -> Course:
    return Course(names or ("box1",), 0.0)


def drawn(of: Course, width: int = 80, height: int = 24, now: float = 83.0, dots: str = "…") -> list[str]:
    return [line.plain for line in screen.lines(of, width, height, now, dots)]


# ---- the lines ----


def test_a_line_tells_section_number_time_and_what_it_waits_for() -> None:
    one = course()
    one.hosts["box1"].total = 157
    for _ in range(87):
        one.hosts["box1"].work("Gateway", "litellm.service is enabled", 70.0)
    (line,) = drawn(one)
    assert line.split() == ["box1", "87/157", "1:23", "Gateway", "litellm.service", "is", "enabled", "(0:13)"]


def test_it_is_told_which_host_the_others_wait_for() -> None:
    """ansible/ansible#53779: which task is it that stalls?"""
    three = course("box1", "box2", "box3")
    for name in three.hosts:
        three.hosts[name].work("Base", "packages are installed", 0.0)
    for name in ("box1", "box3"):
        three.hosts[name].enter(WAITING, 1.0)
    told = drawn(three)
    assert "waits for box2" in told[0]
    assert told[-1].startswith("3 hosts: 2 waiting, 1 at work")


@given(st.integers(20, 200), st.integers(3, 60), st.integers(1, 60), TEXT)
def test_no_line_is_as_wide_as_the_terminal_nor_the_screen_full(width: int, height: int, hosts: int, text: str) -> None:
    """Textualize/rich#971, agent-era/devteam#64: what is wider or higher is drawn twice."""
    many = course(*(f"{number}-{text}"[:60] for number in range(hosts)))
    for each in many.hosts.values():
        each.total = 9
        each.work(text, f"of {text}", 0.0)
    told = drawn(many, width, height)
    assert len(told) < height
    assert all(cell_len(line) < width for line in told)
    assert not any(unsafe(line) for line in told)


def test_more_hosts_than_lines_shows_those_that_something_happens_on() -> None:
    many = course(*(f"box{number}" for number in range(100)))
    for number, each in enumerate(many.hosts.values()):
        each.total = 1
        each.work("Base", "packages", 0.0)
        if number != 70:
            each.enter(DONE if number % 2 else FAILED, 1.0)
    told = drawn(many, height=10)
    assert len(told) == 8
    assert told[0].startswith("box70 ")
    assert told[-1].startswith("93 more; 100 hosts: ")
    assert told[-1].endswith("1:23")


def test_both_ends_of_a_long_name_stay() -> None:
    two = course("web-frankfurt-production-01", "web-frankfurt-production-02")
    first, second, _ = drawn(two, 40)
    assert first[:10] != second[:10]
    assert "…" in first


def test_a_terminal_without_the_letter_has_dots() -> None:
    """labgrid-project/labgrid#486, rsalmei/alive-progress#15: an arrow or a block ended the program."""
    one = course("a" * 90)
    one.hosts["a" * 90].work("Base", "b" * 90, 0.0)
    assert "\n".join(drawn(one, dots="..")).isascii()


def test_from_its_end_nothing_leads_back() -> None:
    one = course()
    host = one.hosts["box1"]
    host.enter(FAILED, 5.0)
    host.enter(READING, 9.0)
    assert (host.state, host.seconds(99.0)) == (FAILED, 5.0)


@pytest.mark.parametrize(("seconds", "told"), [(0.4, "0:00"), (65, "1:05"), (3605, "1:00:05")])
def test_a_time_is_told_as_clocks_do(seconds: float, told: str) -> None:
    assert clock(seconds) == told


def test_some_names_stand_for_many() -> None:
    assert some(["a", "b", "c"]) == "a, b and 1 more"
    assert some(["a"]) == "a"


# ---- what pyinfra says ----


def heard(text: str, level: int = logging.INFO) -> tuple[str, str, bool]:
    _, message = read(logging.LogRecord("pyinfra", level, "", 0, text, None, None), frozenset({"box1", "box2"}))
    return message.host, message.text, message.is_news


def test_what_is_only_progress_is_no_news() -> None:
    prefix = f"{style('')}[{style('box1', bold=True)}] "
    for text in ("Connected", "Ready: deploy.py", "Success", "No changes", "Success on retry 1", "executed 2 commands"):
        assert heard(f"{prefix}{style(text, 'green')}") == ("box1", text, False)
    assert heard("--> Starting operation: Base | packages are installed")[2] is False
    assert heard(f"{prefix}{style('warning: look', fg='yellow')}", logging.WARNING) == ("box1", "warning: look", True)
    assert heard(f"{prefix}remark: known")[2]


def test_no_host_speaks_for_another() -> None:
    said = f"{style('')}[{style('box1', bold=True)}] it says\n[box2] Success\x1b[2J"
    host, text, news = heard(said, logging.ERROR)
    assert (host, news) == ("box1", True)
    assert "\x1b" not in text


# ---- its end ----


def told(*results: Result, next_step: Callable[[str], str] = lambda _: "") -> str:
    return "\n".join("  " * line.depth + line.text for line in summary(results, next_step))


BASE = ("Base", "packages are installed")
MANY = tuple(("Gateway", f"file {number} is in place") for number in range(20))


def test_the_end_tells_what_changed_and_what_did_not() -> None:
    """pyinfra-dev/pyinfra#790: how many changed is what a summary is for."""
    few = told(Result("box1", DONE, 5, changed=(BASE,), unchanged=MANY, total=21))
    assert few == "[box1] done: 1 operation changed something, 20 found it as wanted, 0:05\n" \
                  "  changed: Base: packages are installed"  # fmt: skip
    many = told(Result("box1", DONE, 65, changed=MANY, unchanged=(BASE,), total=21))
    assert "changed: Gateway 20" in many
    assert "as it was: Base" in many
    assert "nothing changed: all 20 operations" in told(Result("box1", DONE, 1, unchanged=MANY, total=20))


def test_hosts_with_the_same_result_share_its_lines() -> None:
    both = told(*(Result(f"box{number}", DONE, number, changed=(BASE,), total=1) for number in range(8)))
    assert both.count("\n") == 1
    assert both.startswith("[box0, box1, box2, box3, box4 and 3 more] done: 1 operation changed something, 0:07")


def test_a_failure_is_told_in_the_host_s_words_with_the_next_step() -> None:
    lines = tuple(f"line {number}" for number in range(30))
    failed = Result(
        "box1", FAILED, 70, unchanged=(BASE,), at=("Docker", "is installed"), number=2, total=9, words=lines
    )
    text = told(failed)
    assert text.startswith("[box1] failed at 2 of 9, Docker: is installed, 1:10")
    assert "line 29" in text
    assert "line 0\n" not in text
    assert "18 lines before these are in the log" in text
    assert "not done: it, and 7 operations after it" in text
    assert "next: put right what it says" in text
    assert "next: Do this. Then run the same again" in told(failed, next_step=lambda _: "Do this.")
    assert "see that it is on" in told(Result("box1", FAILED, 3, words=("Could not connect",), reached=False))
    assert "stopped at 2 of 9" in told(Result("box1", STOPPED, 3, at=BASE, number=2, total=9))


def test_the_next_step_is_that_of_the_symptom() -> None:
    assert "[no-user-bus]" in cure("Failed to connect to user scope bus via local transport: No such file or directory")
    assert cure("Security updates are not found [upgrades-no-source]: apt has no source") == ""
    assert cure("zzz qqq") == ""


# ---- its log ----


def test_the_log_has_no_secret_and_is_its_owner_s_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(raw_log, "_secrets", set())
    raw_log.hide(["sk-hidden-1234", "", "a"])
    log = raw_log.RawLog()
    log.write("the key is sk-hidden-1234\nand more \x1b[2J a")
    log.close()
    assert log.path is not None
    text = log.path.read_text()
    assert "sk-hidden" not in text
    assert "the key is *****\n         and more \\x1b[2J a\n" in text
    assert oct(log.path.stat().st_mode & 0o777) == "0o600"
    assert oct(log.path.parent.stat().st_mode & 0o777) == "0o700"


def test_the_log_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    directory = tmp_path / "signalbox" / "logs"
    directory.mkdir(parents=True)
    for number in range(40):
        (directory / f"2020010{number:02}.log").touch()
    log = raw_log.RawLog()
    assert len(list(directory.iterdir())) == 30
    monkeypatch.setattr(log, "_left", 100)
    for _ in range(9):
        log.write("x" * 50)
    assert log.path is not None
    assert log.path.read_text().endswith("(the rest is left out: the log is full)\n")


def test_a_run_goes_on_where_no_log_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "signalbox").write_text("in the way")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    log = raw_log.RawLog()
    log.write("gone")
    log.close()
    assert log.path is None

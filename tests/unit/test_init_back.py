"""`signalbox init` lets a person go back to an earlier question, and breaks its words between words."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from signalbox import console
from signalbox.console import wrapped
from signalbox.init import interview
from signalbox.init.answers import Kept
from signalbox.init.interview import Interview
from signalbox.init.question import Known, Question, WrongAnswerError
from signalbox.init.questions import QUESTIONS


def check(answer: str, _: Known) -> str:
    if answer == "wrong":
        raise WrongAnswerError("write another")
    if answer == "of the first":
        raise WrongAnswerError("the first is the cause", again="first")
    return answer


ASKED = (
    Question("first", "First?", check, example="1", default="one"),
    Question("second", "Second?", check, example="2", default=lambda known: f"two of {known.answers['first']}"),
    Question("key", "Key?", check, example="k", secret=lambda _: "SOME_KEY"),
    Question("last", "Last?", check, example="4", default="four", when=lambda known: known.said("second", "2", "zwei")),
)


class Person:
    """Types these lines; `defaults` are those that stood in brackets."""

    def __init__(self, lines: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self._lines, self.defaults, self.said = lines, list[str](), io.StringIO()
        shown = Console(file=self.said, force_terminal=True, width=60, color_system=None)
        monkeypatch.setattr(console, "stderr", lambda: shown)
        monkeypatch.setattr(interview, "asked", self._asked)
        monkeypatch.delenv("SOME_KEY", raising=False)
        self.kept = Kept(tmp_path / "state.json")

    def _asked(self, words: str, *, default: str = "", hidden: bool = False) -> str:
        self.defaults.append(words)
        assert hidden == words.startswith("key")
        return self._lines.pop(0) or default

    def interview(self, given: Mapping[str, str] | None = None) -> Known:
        known = Interview(ASKED, given or {}, self.kept, asks=True).run()
        assert self._lines == []
        return known


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    return lambda *lines: Person(list(lines), monkeypatch, tmp_path)


def test_back_leads_to_the_question_before_and_answers_stay_as_defaults(person: Any) -> None:
    who = person("1", "2", "k" * 8, "<", "<", "zwei", "", "4")
    known = who.interview()
    assert known.answers == {"first": "1", "second": "zwei", "last": "4"}
    assert known.secrets["SOME_KEY"].reveal() == "k" * 8, "Enter keeps the secret"
    assert who.defaults == [
        "first [one]", "second [two of 1]", "key", "last [four]", "key [as before]", "second [2]", "key [as before]",
        "last [four]",
    ]  # fmt: skip


def test_back_by_name(person: Any) -> None:
    who = person("1", "2", "k", "<first", "uno", "", "", "4")
    known = who.interview()
    assert known.answers == {"first": "uno", "second": "2", "last": "4"}
    assert who.defaults[4:] == ["first [1]", "second [2]", "key [as before]", "last [four]"]


def test_what_is_no_longer_asked_leaves_no_answer(person: Any) -> None:
    who = person("1", "2", "k", "<second", "other", "")
    known = who.interview()
    assert known.answers == {"first": "1", "second": "other"}
    assert who.kept.answers == {"first": "1", "second": "other"}


def test_before_the_first_there_is_none_and_no_name_is_guessed(person: Any) -> None:
    who = person("<", "1", "<nothing", "2", "k", "4")
    who.interview()
    assert "this is the first question" in who.said.getvalue()
    assert "no earlier question nothing; there are first" in who.said.getvalue()


def test_one_that_was_given_by_option_is_not_gone_back_to(person: Any) -> None:
    who = person("2", "<", "2", "k", "4")
    assert who.interview({"first": "given"}).answers["first"] == "given"
    assert who.defaults[:2] == ["second [two of given]", "key"]


def test_one_of_the_run_before_can_be_gone_back_to(person: Any) -> None:
    who = person("<first", "1", "2", "k", "4")
    who.kept.keep("first", "kept")
    known = who.interview()
    assert known.answers["first"] == "1"
    assert who.defaults[:2] == ["second [two of kept]", "first [kept]"]


def test_a_wrong_answer_is_no_default(person: Any) -> None:
    who = person("1", "of the first", "eins", "2", "k", "4")
    assert who.interview().answers["first"] == "eins"
    assert who.defaults[2] == "first [one]"


def test_the_way_back_is_told_at_the_first_question(person: Any) -> None:
    who = person("1", "2", "k", "4")
    who.interview()
    assert " ".join(who.said.getvalue().split()).startswith(
        "Enter takes what stands in brackets; ? tells more; < goes back"
    )
    assert who.said.getvalue().count("tells more;") == 1


WORDS = st.lists(st.text("abcdefghij", min_size=1, max_size=20), max_size=60)


@given(WORDS, st.integers(40, 200), st.integers(0, 6))
def test_no_word_is_cut_in_two(words: list[str], width: int, inset: int) -> None:
    lines = wrapped(" " * inset + " ".join(words), width)
    assert " ".join(lines).split() == words
    assert all(cell_len(line) < width for line in lines)


@pytest.mark.parametrize("question", QUESTIONS, ids=[each.id for each in QUESTIONS])
def test_the_questions_own_words_fit_40_columns(question: Question) -> None:
    for words in (question.words, question.more, question.example):
        if isinstance(words, str):
            lines = wrapped(words, 40)
            assert all(cell_len(line) < 40 for line in lines), lines
            assert " ".join(lines).split() == words.split() or any(len(word) > 30 for word in words.split())


def test_nothing_breaks_where_there_is_no_terminal() -> None:
    assert wrapped("a " * 500, None) == ["a " * 500]

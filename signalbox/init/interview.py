"""Asks the questions: what was answered beforehand is checked alike; what is wrong is told, and asked again."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from rich.text import Text

from signalbox.console import Failure, asked, note, say, stderr, working
from signalbox.fields.checks import PLACEHOLDER
from signalbox.host.shared.output import shown
from signalbox.init.answers import Kept
from signalbox.init.question import Known, Question, WrongAnswerError, told
from signalbox.secrets import Secret

BACK = "<"
_HELP = "Enter takes what stands in brackets; ? tells more; < goes back to the question before, <NAME to that one."
_SLOW = {"host", "ssh_key", "install_password", "backend", "model", "check_cloud"}  # those that ask somebody else


class _BackError(Exception):
    """The person wants to answer an earlier question again: its id."""


class Interview:
    """One run through the questions.

    Args:
        given: answers by option or file; a wrong one ends the run, because nobody could correct it.
        kept: answers of an earlier run; a wrong one is asked again.
        asks: whether there is somebody to ask.
    """

    def __init__(self, questions: tuple[Question, ...], given: Mapping[str, str], kept: Kept, asks: bool) -> None:
        self._questions, self._given, self._kept, self._asks = questions, dict(given), kept, asks
        self._refused: set[str] = set()  # questions whose answer by option, file or environment was wrong
        self._trail: list[str] = []  # questions that a person has answered, in this run or the one before
        self._earlier: dict[str, str] = {}  # what was answered before somebody went back: the default, then
        self.asked = 0

    def run(self) -> Known:
        """Ask until all is known.

        Raises:
            Failure: an answer that was given is wrong, or one is missing and there is nobody to ask.
        """
        known, position = Known(), 0
        while position < len(self._questions):
            question = self._questions[position]
            if not question.when(known):
                position += 1
                continue
            try:
                self._answer(question, known)
                position += 1
            except WrongAnswerError as error:
                position = self._wrong(error, question, known)
            except _BackError as error:
                position = self._again(str(error), known)
        return known

    def _wrong(self, error: WrongAnswerError, question: Question, known: Known) -> int:
        """Return the place of the question to go on with, everything from it on forgotten."""
        again = error.again or question.id
        self._refused |= {question.id, again}
        complain(str(error))
        place = self._again(again, known)
        self._earlier.pop(again, None)
        return place

    def _again(self, ident: str, known: Known) -> int:
        """Return the place of a question; from it on all is forgotten, but as defaults."""
        place = next(index for index, each in enumerate(self._questions) if each.id == ident)
        for each in self._questions[place:]:
            if answer := known.answers.pop(each.id, None):
                self._earlier[each.id] = answer
            elif each.secret and (secret := known.secrets.pop(each.secret(known), None)):
                self._earlier[each.id] = secret.reveal()
            self._kept.forget(each.id)
            if each.id in self._trail:
                self._trail.remove(each.id)
        return place

    def _answer(self, question: Question, known: Known) -> None:
        source, answer = self._beforehand(question, known)
        if answer is None:
            if not self._asks:
                raise Failure(_nobody(question, known))
            answer = self._ask(question, known)
            self.asked += 1
        try:
            checked = self._checked(question, known, answer)
        except WrongAnswerError as error:
            if source == "given" and not (self._asks and error.again):
                raise Failure(f"{_name(question)}: {error}") from None
            raise
        if source != "given" and question.id not in self._trail:
            self._trail.append(question.id)
        if question.secret:
            known.secrets[question.secret(known)] = Secret(answer)
            return
        known.answers[question.id] = checked
        self._kept.keep(question.id, checked)
        if source:
            note(f"{_name(question)}: {checked}" + (" (as before)" if source == "kept" else ""))

    def _beforehand(self, question: Question, known: Known) -> tuple[str, str | None]:
        if self._asks and question.id in self._refused:
            return "", None
        if question.secret:
            return ("given", value) if (value := os.environ.get(question.secret(known))) else ("", None)
        if question.id in self._given:
            return "given", self._given[question.id]
        if question.id in self._kept.answers:
            return "kept", self._kept.answers[question.id]
        if not self._asks and (default := told(question.unasked or question.default, known)):
            return "given", default
        return "", None

    def _checked(self, question: Question, known: Known, answer: str) -> str:
        answer = answer.strip() if not question.secret else answer
        if not answer:
            raise WrongAnswerError(f"an answer is needed here{_such_as(question, known)}")
        if shown(answer) != answer:  # also where it is what a server calls its model
            raise WrongAnswerError("the answer holds a control character, as arrow keys leave; write it again")
        if PLACEHOLDER.search(answer):
            raise WrongAnswerError(f"what stands in angle brackets is for you to fill in{_such_as(question, known)}")
        if question.id in _SLOW and stderr().is_terminal:
            with working("looking"):
                return question.check(answer, known)
        return question.check(answer, known)

    def _ask(self, question: Question, known: Known) -> str:
        if not self.asked:
            say(_HELP, style="dim")
        say(f"\n{told(question.words, known)}", style="bold")
        example = told(question.example, known)
        if example:
            say(f"  such as {example}", style="dim")
        for number, choice in enumerate(question.choices(known) if question.choices else (), start=1):
            say(f"  {number}  {choice}")
        default = self._earlier.get(question.id) or told(question.default, known)
        in_brackets = "as before" if question.secret and default else default
        while True:
            words = f"{question.id}{f' [{in_brackets}]' if in_brackets else ''}"
            answer = asked(words, default=default, hidden=question.secret is not None)
            if answer.strip() == "?":
                say(told(question.more, known) or "There is no more to say of this.")
            elif not answer.strip().startswith(BACK) or answer.strip().endswith(">"):
                return answer
            elif earlier := self._named(answer.strip()[1:].strip()):
                raise _BackError(earlier)

    def _named(self, name: str) -> str | None:
        """Return the earlier question of this name, "" for the one before; None, and say so, where there is none."""
        if name in self._trail:
            return name
        if self._trail and not name:
            return self._trail[-1]
        there = f"; there are {', '.join(self._trail)}" if self._trail else ": this is the first question"
        complain(f"no earlier question{f' {name}' if name else ''}{there}")
        return None


def complain(why: str) -> None:
    """Tell why an answer cannot be taken."""
    say(why, mark=Text("  ✗ ", style="bold red"))


def _nobody(question: Question, known: Known) -> str:
    how = (
        f"export {question.secret(known)}"
        if question.secret
        else f"write {_name(question)}=…, or {question.id}: … in the file of --answers"
    )
    return f"{question.id}: no answer, and nobody to ask; {how}{_such_as(question, known)}"


def _such_as(question: Question, known: Known) -> str:
    example = told(question.example, known)
    return f", such as {example}" if example else ""


def _name(question: Question) -> str:
    return f"--{question.id.replace('_', '-')}"


def somebody_there() -> bool:
    """Return whether there is a terminal to ask on."""
    return sys.stdin.isatty() and sys.stderr.isatty()

"""Answers that are there beforehand: of a file, and of an earlier run that was interrupted. Neither holds a secret."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import yaml

from signalbox.fields.messages import holds_key, nearest
from signalbox.init.question import Question
from signalbox.pins.literals import replace


class AnswersError(Exception):
    """A file of answers that cannot be taken; what to write."""


def read(path: Path, questions: Iterable[Question]) -> dict[str, str]:
    """Return the answers of a YAML or JSON file: `host: 192.168.1.10`, a question a line.

    Raises:
        AnswersError: it cannot be read, names no question, or holds a secret.
    """
    by_id = {question.id: question for question in questions}
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AnswersError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise AnswersError(f"{path}: is no YAML; write a line for each answer, such as host: 192.168.1.10") from None
    if not isinstance(found, Mapping):
        raise AnswersError(f"{path}: holds no answers; write a line for each, such as host: 192.168.1.10")
    answers = {}
    for key, value in found.items():
        if key not in by_id:
            raise AnswersError(f"{path}: {_safe(str(key))} is no question{nearest(str(key), by_id)}")
        if by_id[key].secret or holds_key(str(value)):
            raise AnswersError(
                f"{path}: {key}: a secret must not be in this file; it is taken from the environment, or asked for"
            )
        if isinstance(value, list):
            value = ", ".join(map(str, value))
        if isinstance(value, bool):
            value = "yes" if value else "no"
        if value is None or isinstance(value, Mapping):
            raise AnswersError(f"{path}: {key}: is no answer; write a word or a list")
        answers[str(key)] = str(value)
    return answers


class Kept:
    """What was answered so far, in a private file of the project, so that an interrupted run goes on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.answers: dict[str, str] = {}
        with suppress(OSError, ValueError):
            found = json.loads(path.read_text(encoding="utf-8"))
            self.answers = {str(key): str(value) for key, value in found.items()}

    def keep(self, question: str, answer: str) -> None:
        """Note an answer."""
        self.answers[question] = answer
        self._save()

    def forget(self, question: str) -> None:
        """Forget an answer that turned out wrong."""
        if self.answers.pop(question, None) is not None:
            self._save()

    def clear(self) -> None:
        """Forget all: the files are written."""
        self.answers = {}
        self._path.unlink(missing_ok=True)

    def _save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if not self._path.exists():
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600))
        replace(self._path, json.dumps(self.answers, indent=1))


def _safe(text: str) -> str:
    return "a key" if holds_key(text) else repr(text)

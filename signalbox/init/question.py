"""What a question is, and what is known while they are asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from signalbox.init.probe_results import HostKey, Machine, Server
from signalbox.secrets import Secret


class WrongAnswerError(Exception):
    """An answer that cannot be taken: why, and what to write.

    again: the question that is asked again where it is not this one, because its answer is the cause.
    """

    def __init__(self, why: str, again: str | None = None) -> None:
        super().__init__(why)
        self.again = again


@dataclass
class Known:
    """What the answers and the checks have told so far.

    answers: by question, in the words that were given. secrets: by the name that settings have for them; one whose
    question asks for it by another name is there under the question's id.
    """

    answers: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)
    host_key: HostKey | None = None
    machine: Machine | None = None
    locked_out: bool = False  # the host does not take the key yet
    servers: list[Server] = field(default_factory=list)
    server: Server | None = None

    def said(self, question: str, *answers: str) -> bool:
        """Return whether the answer to a question is one of these."""
        return self.answers.get(question) in answers


Check = Callable[[str, Known], str]  # returns the answer as it is kept; raises WrongAnswerError
Words = str | Callable[[Known], str]


@dataclass(frozen=True)
class Question:
    """One question.

    id: its option (`--ssh-user`) and its key in an answers file. words, example, default: as people see them; they may
    follow from what is known. unasked: the default where there is nobody to ask, if it is another. more: what `?`
    tells. when: whether it is asked at all. secret: the name under which an answer that nobody may see is looked for in
    the environment, and kept.
    """

    id: str
    words: Words
    check: Check
    example: Words = ""
    default: Words = ""
    unasked: Words = ""
    more: Words = ""
    choices: Callable[[Known], list[str]] | None = None
    when: Callable[[Known], bool] = lambda _: True
    secret: Callable[[Known], str] | None = None


def told(words: Words, known: Known) -> str:
    """Return words that may follow from what is known."""
    return words if isinstance(words, str) else words(known)

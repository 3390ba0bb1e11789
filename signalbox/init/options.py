"""The questions as options of a command, and a run through them from a command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from signalbox.console import Failure, json_option, note
from signalbox.init.answers import AnswersError, Kept, read
from signalbox.init.interview import Interview, somebody_there
from signalbox.init.question import Known, Question

_WORDS = {  # of questions whose words follow from what is known
    "fingerprint": "The host's fingerprint (SHA256:…), or yes: whatever it shows now.",
    "reachable": "Which of the services that others reach there stay reachable: all, none, or ports such as tcp/443.",
    "replaces": "Whether packages that do not stand beside Debian's own may go there: y or n.",
    "replaces_root": "Whether containers of root's Docker there may be stopped: y or n.",
    "check_cloud": "Ask the cloud whether the key works: y or n.",
}


def options(questions: Sequence[Question]) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator: --answers, --afresh, --yes, --deploy, --json, and an option a question that is no secret.

    Answers are the keyword arguments by the questions' ids; secrets are never in a command line.
    """

    def decorate(command: Callable[..., Any]) -> Any:
        for question in reversed(questions):
            if question.secret is None:
                words = question.words if isinstance(question.words, str) else _WORDS[question.id]
                name = f"--{question.id.replace('_', '-')}"
                command = click.option(name, question.id, metavar="ANSWER", help=words)(command)
        command = json_option(command)
        for words, more in reversed(_SHARED):
            command = click.option(*words, **more)(command)
        return command

    return decorate


def _group_name(_: click.Context, __: click.Parameter, name: str | None) -> str | None:
    if name is not None and (not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in ("all", "inventory")):
        raise click.BadParameter(f"{name!r} is no group's name; write one such as claude_hosts")
    return name


_FILE = click.Path(dir_okay=False, path_type=Path)
_SHARED: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (
        ("--answers",),
        {
            "type": _FILE,
            "metavar": "FILE",
            "help": "Answers as YAML: host: 192.168.1.10, a question a line; no secrets.",
        },
    ),
    (
        ("--directory",),
        {"type": click.Path(file_okay=False, path_type=Path), "metavar": "DIR", "help": "The project's directory."},
    ),
    (
        ("--wheel",),
        {"type": _FILE, "metavar": "FILE", "help": "The wheel of Signalbox that the project pins, if not this one."},
    ),
    (("--afresh",), {"is_flag": True, "help": "Forget what an interrupted run had been answered."}),
    (
        ("--group",),
        {
            "callback": _group_name,
            "metavar": "NAME",
            "help": "The host's group in inventory.py, claude_hosts unless it is in another; one of its own for a host "
            "that shall be otherwise.",
        },
    ),
    (("-y", "--yes"), {"is_flag": True, "help": "Ask nothing: defaults where there is no answer, and write."}),
    (("--deploy/--no-deploy",), {"default": None, "help": "Deploy afterwards, or not, without a question."}),
)


def interview(
    questions: tuple[Question, ...],
    state: Path,
    answers: Path | None,
    given: Mapping[str, str | None],
    *,
    asks: bool,
    afresh: bool,
) -> tuple[Known, int, Kept]:
    """Ask; return what is known, how many questions a person was asked, and what is kept of the answers.

    Raises:
        Failure: an answer that was given is wrong, or one is missing and there is nobody to ask.
        SystemExit: Ctrl-C.
    """
    kept = Kept(state)
    if afresh:
        kept.clear()
    try:
        beforehand = read(answers, questions) if answers else {}
    except AnswersError as error:
        raise Failure(str(error)) from None
    beforehand |= {name: value for name, value in given.items() if value is not None}
    run = Interview(questions, beforehand, kept, asks=asks and somebody_there())
    try:
        return run.run(), run.asked, kept
    except (click.Abort, KeyboardInterrupt):
        note("\nNothing was written. The same command goes on here; secrets will be asked for again.")
        raise SystemExit(1) from None

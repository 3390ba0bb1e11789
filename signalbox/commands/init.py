"""`signalbox init`: from a Debian host and a model server to a project that can be deployed."""

from __future__ import annotations

from pathlib import Path

import click

from signalbox.init import project
from signalbox.init.apply import apply
from signalbox.init.directory import placed
from signalbox.init.options import interview, options
from signalbox.init.questions import QUESTIONS

_STATE = Path(".signalbox/init.json")


@click.command()
@options(QUESTIONS)
def init(
    answers: Path | None,
    directory: Path | None,
    wheel: Path | None,
    afresh: bool,
    group: str | None,
    yes: bool,
    deploy: bool | None,
    as_json: bool,
    **given: str | None,
) -> None:
    """Ask what a host needs, check each answer at once, write the project's files, and show the plan.

    The project is this directory, or another one that is asked for: it holds inventory.py, what differs in group_data/,
    the versions in group_data/pins.py, keys encrypted in secrets/, and pyproject.toml, which says which Signalbox
    deploys it. Nothing is written before the last question; what was there is shown as a diff and kept beside it.
    `?` at a question tells more. Ctrl-C: the next run goes on there.

    Every question is an option here, too, or a line of an answers file. Secrets are taken from the environment by their
    names (ANTHROPIC_DIRECT_KEY), or asked for.

    \b
    Exit status: 0  written, and the plan is clean, or deployed
                 2  written, and a deploy has something to do
                 1  nothing was written, or the plan could not be made
    """
    asks = not (yes or as_json)
    place = placed(directory, wheel, answers, asks=asks)
    known, asked, kept = interview(QUESTIONS, place.root / _STATE, place.answers, given, asks=asks, afresh=afresh)
    wishes = project.wishes(known)
    secrets = project.secrets_to_store(wishes, known.secrets)
    apply(place, wishes, secrets, kept, asks=asks, asked=asked, group=group, deploy=deploy, as_json=as_json)

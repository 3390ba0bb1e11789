"""`signalbox init`: from a Debian host and a model server to a project that can be deployed."""

from __future__ import annotations

from pathlib import Path

import click

from signalbox.console import Failure, agreed, note
from signalbox.init import moving, project, scaffold
from signalbox.init.apply import apply
from signalbox.init.directory import placed, why_not
from signalbox.init.moving import MoveError
from signalbox.init.options import interview, options
from signalbox.init.origin import OriginError
from signalbox.init.questions import QUESTIONS
from signalbox.settings import SettingsError
from signalbox.shipped import clone_around

_STATE = Path(".signalbox/init.json")


@click.command()
@options(QUESTIONS)
@click.option(
    "--move",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Ask nothing of a host: move the fleet that lives in this clone of Signalbox into a new directory.",
)
def init(
    move: Path | None,
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
    if move is not None:
        _move(move.expanduser().absolute(), asks=asks)
        return
    place = placed(directory, wheel, answers, asks=asks)
    known, asked, kept = interview(QUESTIONS, place.root / _STATE, place.answers, given, asks=asks, afresh=afresh)
    wishes = project.wishes(known)
    secrets = project.secrets_to_store(wishes, known.secrets)
    apply(place, wishes, secrets, kept, asks=asks, asked=asked, group=group, deploy=deploy, as_json=as_json)


def _move(target: Path, *, asks: bool) -> None:
    """Move a fleet out of the clone that this is called in, after showing how."""
    clone = clone_around(Path())
    if clone is None:
        raise Failure("--move: this is no clone of Signalbox; call it in the one that your hosts are described in")
    if why := why_not(target):
        raise Failure(f"--move: {why}")
    try:
        plan = moving.planned(clone, target)
        for line in plan.lines():
            note(line)
        if asks and not agreed("Do this?"):
            raise Failure("nothing was changed")
        hosts = moving.carried_out(plan)
        if plan.origin.wheel:
            scaffold.keep_wheel(target, plan.origin.wheel)
    except (MoveError, OriginError, SettingsError) as error:
        raise Failure(f"--move: {error}") from None
    except OSError as error:
        raise Failure(f"--move: {error.filename}: {error.strerror}") from None
    scaffold.locked(target)
    note(f"{target} has {hosts} hosts, each set as it was in the clone. Next: cd {target}, then: signalbox plan")

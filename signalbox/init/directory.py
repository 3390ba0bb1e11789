"""Where a person's project is: never in a clone of Signalbox, which stays as it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import click

from signalbox.console import Failure, asked, note
from signalbox.init import files
from signalbox.init.interview import complain, somebody_there
from signalbox.init.origin import PYPROJECT, Origin, OriginError, of_this, of_wheel
from signalbox.shipped import clone_around


@dataclass(frozen=True)
class Place:
    """A project's directory. start: that of whoever called. origin: what pyproject.toml shall pin; None: it is there.
    answers: the file of them.
    """

    root: Path
    start: Path
    origin: Origin | None
    answers: Path | None


def placed(directory: Path | None, wheel: Path | None, answers: Path | None, *, asks: bool) -> Place:
    """Return where the project is, which is the current directory from now on, and what it has Signalbox from.

    Raises:
        Failure: a project cannot be there, or cannot say which Signalbox it wants.
    """
    start, wheel, answers = Path.cwd(), wheel and wheel.absolute(), answers and answers.absolute()
    root = _chosen(directory, asks=asks)
    return Place(root, start, None if (root / PYPROJECT).exists() else origin_of(wheel), answers)


def origin_of(wheel: Path | None) -> Origin:
    """Return what a wheel is, or else what runs here. Raises Failure."""
    try:
        return of_wheel(wheel) if wheel else of_this()
    except OriginError as error:
        raise Failure(str(error)) from None


def _chosen(given: Path | None, *, asks: bool) -> Path:
    """Return the project's directory, made if need be and the current one from now on.

    In a clone, and in a person's home, one beside or below it is proposed; with nobody to ask it is taken.

    Raises:
        Failure: it cannot be had, or its files could not be written later.
    """
    start = Path.cwd()
    root = given.expanduser() if given else start if why_not(start) is None else _proposed(start, asks=asks)
    if why := why_not(root):
        raise Failure(why)
    try:
        root.mkdir(parents=True, exist_ok=True)
        os.chdir(root)
        files.literals(files.INVENTORY)  # before somebody answers for nothing
    except OSError as error:
        raise Failure(f"{root}: cannot be used ({error.strerror})") from None
    except files.FileError as error:
        raise Failure(str(error)) from None
    return Path.cwd()


def _proposed(start: Path, *, asks: bool) -> Path:
    clone = clone_around(start)
    proposal = clone.parent / f"{clone.name}-fleet" if clone else start / "fleet"
    what = "a clone of Signalbox, which stays as it is" if clone else "your home"
    note(f"This is {what}: your hosts are a project of their own, in another directory.")
    if not (asks and somebody_there()):
        note(f"It is {proposal}")
        return proposal
    try:
        while True:
            root = Path(asked(f"directory [{proposal}]", default=str(proposal))).expanduser()
            if (why := why_not(root)) is None:
                return root
            complain(why)
    except click.Abort:
        note("\nNothing was written.")
        raise SystemExit(1) from None


def why_not(root: Path) -> str | None:
    """Return why this cannot be a project's directory; None: it can."""
    if clone := clone_around(root):
        return f"{root} is in the clone {clone}, which stays as it is; name a directory outside of it"
    if root.resolve() == Path.home():
        return f"{root} is your home; name a directory of its own, such as {root / 'fleet'}"
    if root.exists() and not root.is_dir():
        return f"{root} is no directory; name another one"
    return None

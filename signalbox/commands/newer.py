"""`signalbox upgrade --self`: a newer Signalbox for this project."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.text import Text

from signalbox.commands.options import no_project
from signalbox.console import Failure, agreed, note, stdout, working
from signalbox.init import newer
from signalbox.init.changelog import concerns
from signalbox.init.files import INVENTORY
from signalbox.init.origin import OriginError
from signalbox.settings.layers import defaults, layers_of, merged
from signalbox.settings.run import read_inventory
from signalbox.settings.sections import SECTION_NAMES


def upgrade_self(given: str, *, yes: bool, verbose: int) -> None:
    """Show what a newer version would mean for this project, and pin it after a yes.

    given: a wheel's path or address, or the name of a commit; "": the newest commit.

    Raises:
        Failure: it cannot be had, or refuses the settings; nothing was written.
    """
    root = Path.cwd()
    if not INVENTORY.exists():
        raise no_project()
    try:
        now = newer.present(root)
        origin = newer.wanted(given, now)
        if origin.source == now.source:
            note("This project pins that already")
            return
        with ExitStack() as stack:
            with working("Fetching it, and asking it about this project's settings"):
                trial = stack.enter_context(newer.tried(root, origin))
            _tell(trial, now.version, verbose)
            if trial.problems:
                told = f"it does not take this project's settings; the pin stays at {now.version}"
                raise Failure(f"{told}\n{trial.problems}")
            if not (yes or agreed(f"Have this project pin {trial.origin.words}?")):
                return
            trial.pin(root)
    except OriginError as error:
        raise Failure(f"{error}; nothing was written") from None
    except OSError as error:
        raise Failure(f"{error.filename}: cannot be written ({error.strerror})") from None
    note("Wrote pyproject.toml and uv.lock. Hosts are as they were. Next: signalbox plan")


def _tell(trial: newer.Trial, present: str, verbose: int) -> None:
    mine = list(_paths())
    theirs = [entry for entry in trial.news if concerns(entry, mine)]
    others = [entry for entry in trial.news if entry not in theirs]
    lines = [f"{present or 'the present one'} -> {trial.origin.words}"]
    lines += ["What changed for settings that this project has:" if theirs else "No setting of yours has changed."]
    lines += [f"  - {entry}" for entry in theirs]
    if others:
        lines += [f"{len(others)} more changes" + (":" if verbose else "; -v tells them.")]
        lines += [f"  - {entry}" for entry in others if verbose]
    stdout().print(Text("\n".join(lines)), soft_wrap=True)


def _paths() -> Iterator[tuple[str, ...]]:
    """Yield what this project sets, by paths, but for pins."""
    inventory = read_inventory(INVENTORY)
    for host in inventory.hosts:
        own = merged(layers_of(inventory, host)[1:])
        for section, value in own.items():
            if section in SECTION_NAMES and section != "pins" and value != defaults().get(section):
                yield from _below(value, (section,))


def _below(value: Any, at: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _below(item, (*at, str(key)))
    else:
        yield at

"""How every command speaks.

- stdout holds results and nothing else; progress, questions and errors go to stderr.
- Colour only on a terminal, and not with NO_COLOR (https://no-color.org); rich sees to both.
- `--json`: the result as one JSON document on stdout, no question asked.
- `-v`: more about what is done. Without it a command that has nothing to say says nothing.
- Exit status: 0 done, 1 failed, 2 wrong usage; where a command's 2 is drift, wrong usage is 1.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

_PIPE_WIDTH = 400  # columns where no terminal sets a limit: what is read by a program is not cut

OK, FAILED, USAGE, DRIFT = 0, 1, 2, 2
Command = TypeVar("Command", bound=Callable[..., Any])


class Failure(click.ClickException):
    """An error with a message for people, on stderr without a traceback; exit status 1."""

    exit_code = FAILED

    def show(self, file: Any = None) -> None:  # noqa: ARG002 (click's signature)
        """Print it."""
        stderr().print(Text("Error: ", style="bold red") + Text(self.format_message(), style=""), soft_wrap=True)


def json_option(command: Command) -> Command:
    """`--json`, as the parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(command)


def verbose_option(command: Command) -> Command:
    """`-v`, as the parameter `verbose`: how many times it was given."""
    return click.option("-v", "--verbose", count=True, help="Tell more.")(command)


def stdout() -> Console:
    """Where results go."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)


def stderr() -> Console:
    """Where progress, questions and errors go."""
    return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _PIPE_WIDTH)


def print_json(value: Any) -> None:
    """A result as JSON, on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A result as a table, on stdout; nothing when there are no rows."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    if table.row_count:
        stdout().print(table)


def note(message: str) -> None:
    """One line about what was done, on stderr."""
    stderr().print(Text(message), soft_wrap=True)


def agreed(question: str) -> bool:
    """Ask before something is written.

    Raises:
        Failure: there is nobody to ask.
    """
    try:
        return click.confirm(question, default=True, err=True)
    except click.Abort:
        raise Failure("nothing was written; run with --yes to write without a question") from None


@contextmanager
def working(what: str) -> Iterator[None]:
    """Tell on stderr what takes its time: a spinner on a terminal, else one line."""
    console = stderr()
    if console.is_terminal:
        with console.status(Text(what)):
            yield
    else:
        note(f"{what} …")
        yield


@contextmanager
def downloading() -> Iterator[Callable[[str, int, int], None]]:
    """Progress of downloads on stderr: call it with a name, the bytes so far and in all (0: unknown)."""
    console = stderr()
    bars: dict[str, Any] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:

        def update(name: str, done: int, total: int) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=total or None)
                if not console.is_terminal:
                    note(f"Downloading {name} …")
            progress.update(bars[name], completed=done)

        yield update

"""How every command speaks.

- stdout holds results and nothing else; progress, questions and errors go to stderr.
- Colour only on a terminal, and not with NO_COLOR (https://no-color.org); rich sees to both.
- `--json`: the result as one JSON document on stdout, no question asked.
- `-v`: more about what is done. Without it a command that has nothing to say says nothing.
- What a host, a server or a file said passes `shown` on its way to the terminal, wherever it is printed: nothing in it
  drives the terminal, or is taken for markup.
- Exit status: 0 done, 1 failed, 2 wrong usage; where a command's 2 is drift, wrong usage is 1.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import click
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from signalbox.host.shared.output import shown

_PIPE_WIDTH = 400  # columns where no terminal sets a limit: what is read by a program is not cut

OK, FAILED, USAGE, DRIFT = 0, 1, 2, 2
Command = TypeVar("Command", bound=Callable[..., Any])


class _Console(Console):
    """A console whose control sequences are rich's own; the way of all that it prints is `render`."""

    def __init__(self, *, to_stderr: bool = False) -> None:
        stream = sys.stderr if to_stderr else sys.stdout
        super().__init__(
            stderr=to_stderr, highlight=False, markup=False, emoji=False, width=None if stream.isatty() else _PIPE_WIDTH
        )

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield what is printed."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(shown(segment.text, lines=True), segment.style)


class _Watching(_Console):
    """A console for what is watched for minutes: whatever ends the program leaves the terminal as it should be."""

    def __init__(self) -> None:
        super().__init__(to_stderr=True)

    def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002 (rich's signature)
        """Leave the cursor alone: hidden, it would stay so where the program is killed."""
        return False

    def on_broken_pipe(self) -> None:
        """Say nothing more where nobody reads any more; rich would end the program, in the middle of its work."""
        self.quiet = True
        with suppress(OSError, ValueError):  # it may be no file
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


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
    return _Console()


def stderr() -> Console:
    """Where progress, questions and errors go."""
    return _Console(to_stderr=True)


def watching() -> Console:
    """Where a run is shown: stderr; no reader who goes ends it, and it is never left without a cursor."""
    return _Watching()


def is_live() -> bool:
    """Return whether lines on stderr may be drawn anew: it is a terminal that can, and nobody asked for less.

    NO_COLOR, TERM=dumb, CI and pyinfra's own PYINFRA_PROGRESS=off ask for less.
    """
    environment = os.environ
    plain = environment.get("NO_COLOR") or environment.get("CI") or environment.get("PYINFRA_PROGRESS") == "off"
    return sys.stderr.isatty() and environment.get("TERM", "dumb") not in ("dumb", "unknown", "") and not plain


def print_json(value: Any) -> None:
    """A result as JSON, on stdout; in ASCII, so that nothing in it reaches a terminal."""
    click.echo(json.dumps(value, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A result as a table, on stdout; nothing when there are no rows."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(cell)) for cell in row))  # before its width is measured
    if table.row_count:
        stdout().print(table)


def note(message: str) -> None:
    """One line about what was done, on stderr; lines that follow in it are set in, and look like no other note."""
    say(message[:1] + message[1:].replace("\n", "\n  "))


def say(text: str, style: str = "", mark: Text | None = None) -> None:
    """Words for a person, on stderr: at a terminal no word is cut in two, and what goes on is set in.

    mark: stands before them.
    """
    console, mark = stderr(), mark or Text()
    width = console.width if console.is_terminal else None
    for number, line in enumerate(wrapped(shown(text, lines=True), width, first=mark.cell_len)):
        console.print((mark if not number else Text()) + Text(line, style=style), soft_wrap=True)


def wrapped(text: str, width: int | None, first: int = 0) -> list[str]:
    """Return the lines of a text, broken between words where they are as long as a terminal's; None: nothing breaks.

    What goes on is set in by two, beyond its line's own beginning. first: cells before the first line.
    """
    lines: list[str] = []
    for line in text.split("\n"):
        if width is None or cell_len(line) + first < width:
            lines.append(line)
            continue
        inset = " " * min(len(line) - len(line.lstrip()), width // 2)
        room = max(10, width - 1 - len(inset) - max(2, first))
        pieces = Text(line.lstrip()).wrap(Console(width=width), room, overflow="fold", tab_size=4)
        lines += [
            inset + (piece.plain.rstrip() if not at else f"  {piece.plain.strip()}") for at, piece in enumerate(pieces)
        ]
        first = 0
    return lines


def agreed(question: str) -> bool:
    """Ask before something is written.

    Raises:
        Failure: there is nobody to ask.
    """
    try:
        return confirmed(question, default=True)
    except click.Abort:
        raise Failure("nothing was written; run with --yes to write without a question") from None


def confirmed(question: str, *, default: bool | None = False) -> bool:
    """Ask a question of yes or no, on stderr. Raises click.Abort where nobody answers."""
    return click.confirm(shown(question, lines=True), default=default, err=True)


def asked(question: str, *, default: str = "", hidden: bool = False) -> str:
    """Ask for a text, on stderr; hidden: what is typed is not seen. Raises click.Abort where nobody answers."""
    return str(
        click.prompt(shown(question, lines=True), default=default, show_default=False, hide_input=hidden, err=True)
    )


def reveal(secret: str) -> None:
    """Print a secret that was asked for, as it is."""
    click.echo(secret)


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
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:

        def update(name: str, done: int, total: int) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=total or None)
                if not console.is_terminal:
                    note(f"Downloading {name} …")
            progress.update(bars[name], completed=done)

        yield update

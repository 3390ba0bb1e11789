"""What pyinfra prints, however it was started: with its own colours, and nothing else that drives a terminal.

pyinfra puts what a host says between its own escape sequences, so afterwards nobody can tell them apart. Here its
colours carry a number that this process has made up, and all that is printed is made safe but for those.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Callable
from functools import cache
from importlib import import_module
from secrets import randbelow
from types import SimpleNamespace, TracebackType
from typing import Any

import click
import gevent
from pyinfra.api import output

from signalbox.host.shared.output import shown

_OURS = str(10**9 + randbelow(9 * 10**9))  # no terminal knows such a parameter of a colour, so none minds it
_OUR_STYLE = re.compile(rf"\x1b\[{_OURS};([0-9;]*)m")
_INDENT = " " * 8  # deeper than any line of pyinfra's own
_FURTHER = re.compile(r"\n(?=.)")
_HEADLINE = re.compile(r"(\x1b\[[0-9;]*m)*-->")
_LIKE_PYINFRA = re.compile(r"\n(?=\s*(?:\[|-->))")


def style(text: object, *words: Any, **more: Any) -> str:
    """Return a text in a colour, as click.style does."""
    before, after = _around(words, tuple(more.items()))
    return f"{before}{text}{after}"


@cache
def _around(words: tuple[Any, ...], more: tuple[tuple[str, Any], ...]) -> tuple[str, str]:
    before, _, after = click.style("\0", *words, **dict(more)).partition("\0")
    return before.replace("\x1b[", f"\x1b[{_OURS};"), after.replace("\x1b[", f"\x1b[{_OURS};")


def printed(text: object) -> str:
    """Return a text as it may be printed: nothing drives the terminal but the colours of `style`."""
    pieces = _OUR_STYLE.split(str(text))  # text, colour, text, …
    return "".join(f"\x1b[{piece}m" if at % 2 else shown(piece, lines=True) for at, piece in enumerate(pieces))


# Shows what is printed where a run is watched; it returns False where none is.
shows: Callable[[str], bool] = lambda _text: False  # noqa: E731 (replaced by signalbox.engine.watching)


def echo(message: object = None, **more: Any) -> None:
    """Print a message, as click.echo does."""
    if shows("" if message is None else click.unstyle(printed(message))):
        return
    click.echo(None if message is None else printed(message), **more)


def tell_exception(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    """Print a traceback on stderr, as Python does; for sys.excepthook."""
    sys.stderr.write(shown("".join(traceback.format_exception(kind, error, where)), lines=True))


class _Stream:
    """Where gevent writes tracebacks."""

    @staticmethod
    def write(text: str) -> None:
        sys.stderr.write(shown(text, lines=True))

    @staticmethod
    def flush() -> None:
        sys.stderr.flush()


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return shown(super().format(record), lines=True)


def _logged(original: Any) -> Any:
    def format(self: Any, record: logging.LogRecord) -> str:
        message = printed(record.getMessage())
        # The lines of an error that ends the run are its own, but for one that looks like pyinfra's word on a host.
        headline = _HEADLINE.match(message)
        record.msg, record.args = (_LIKE_PYINFRA if headline else _FURTHER).sub(f"\n{_INDENT}", message), None
        if headline or "-->" not in message:
            return str(original(self, record))
        self.previous_was_header = True  # pyinfra takes an arrow anywhere for a headline, which has an empty line above
        text = f"    {original(self, record)}"
        self.previous_was_header = False
        return text

    format.signalbox = True  # type: ignore[attr-defined]
    return format


def colours() -> None:
    """Have pyinfra's colours be those of `style`; it sets its own when its command line begins."""
    if output.is_output_active():  # not where a command of ours runs pyinfra, and prints itself
        output.set_formatter(style)
        output.set_echo(echo)


def install() -> None:
    """Put it into pyinfra's command line, where that is what runs. Calling it again changes nothing."""
    if "pyinfra_cli.log" not in sys.modules:
        return
    log: Any = sys.modules["pyinfra_cli.log"]
    if getattr(log.LogFormatter.format, "signalbox", False):
        return
    log.LogFormatter.format = _logged(log.LogFormatter.format)
    for name in ("cli", "exceptions", "prints", "util"):  # they look click up when they print
        module: Any = import_module(f"pyinfra_cli.{name}")
        module.click = SimpleNamespace(**{**vars(click), "style": style, "echo": echo})
    colours()
    sys.excepthook = tell_exception
    gevent.get_hub().exception_stream = _Stream
    if logging.lastResort:  # paramiko's words, some of which are the server's
        logging.lastResort.setFormatter(_Formatter())

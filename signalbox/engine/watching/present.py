"""The one run that this process shows, and how it is put into pyinfra: its questions, its plan, its results, its end.

Of a run of Signalbox's alone.
"""

from __future__ import annotations

import atexit
import builtins
import getpass
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from importlib import import_module
from typing import Any

import click
import gevent
from pyinfra.api import State

from signalbox.console import confirmed
from signalbox.engine import output
from signalbox.engine.watching.course import some
from signalbox.engine.watching.display import Display
from signalbox.engine.watching.watch import Watch

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_present: Watch | None = None


def begin(state: State, *, raw: bool, dry: bool) -> None:
    """Show this run from now on. raw: print pyinfra's own lines in place of it, and keep them all the same."""
    global _present
    if _present is None:
        _present = Watch(state, raw=raw, dry=dry)
        atexit.register(finish)
        if not raw:
            builtins.input = _asking(builtins.input)
            _end_by_signals(_present.display)
        state.add_callback_handler(_present)  # type: ignore[no-untyped-call]
        _present.begin()
        if not raw:
            os.environ["PYINFRA_PROGRESS"] = "off"  # its own spinner


def finish(why: str = "") -> None:
    """Tell how the run went, as far as it came, once. why: why it ended before it had come to its end."""
    if _present is not None:
        _present.finish(why)


def is_shown() -> bool:
    """Return whether a run is shown here, and not as pyinfra prints it."""
    return _present is not None and not _present.raw


def echo(text: str) -> bool:
    """Show what pyinfra prints past its log; return False where no run is shown."""
    if not is_shown():
        return False
    assert _present is not None
    _present.echo(text)
    return True


def agreed(question: str) -> bool:
    """Ask the person who watches; Enter is yes. Raises EOFError: nobody is there."""
    assert _present is not None
    failed = question.startswith("One of more hosts")
    names = [str(host.name) for host in _present.state.failed_hosts]
    words = f"{some(names, 5)} failed; go on with the others?" if failed else "Do this?"
    try:
        with _present.display.paused():
            yes = confirmed(words, default=True)
    except click.Abort:
        raise EOFError from None
    if yes:
        return True
    _present.display.tell("nothing was changed" if not _present.executed else "stopped, as you say")
    return False


def _asking(original: Callable[..., str]) -> Callable[..., str]:
    @wraps(original)
    def ask(*args: Any, **kwargs: Any) -> str:
        if not is_shown() or _present is None or _present.display.asks:
            return original(*args, **kwargs)
        with _present.display.paused():
            return original(*args, **kwargs)

    return ask


def _print_results(original: Callable[[State], None]) -> Callable[[State], None]:
    @wraps(original)
    def print_results(state: State) -> None:
        if is_shown():
            finish()
        else:
            original(state)

    return print_results


def _print_meta(original: Callable[[State], None]) -> Callable[[State], None]:
    @wraps(original)
    def print_meta(state: State) -> None:
        if is_shown() and _present is not None:
            _present.plan()
        else:
            original(state)

    return print_meta


def _end_by_signals(display: Display) -> None:
    """Have Ctrl-C, TERM and HUP end the run where it waits, records kept and locks given back; a second one at once."""
    main = gevent.getcurrent()

    def stop(number: int, _: Any) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        end = SystemExit(128 + number)
        if display.asks:
            raise end  # nothing else runs while somebody is asked
        gevent.get_hub().loop.run_callback(interrupt, end)

    def interrupt(end: SystemExit) -> None:
        if _present is not None:
            # Disconnecting takes a place in the pool: what still works there would be waited for.
            _present.state.pool.kill(block=False)
        main.throw(end)

    for number in _SIGNALS:
        with suppress(ValueError):  # not in the main thread
            signal.signal(number, stop)


def install() -> None:
    """Put it into pyinfra's command line, where that is what runs. Calling it again changes nothing."""
    cli: Any = sys.modules.get("pyinfra_cli.cli")
    if cli is None or hasattr(cli.print_results, "__wrapped__"):
        return
    output.shows = echo
    cli.print_results, cli.print_meta = _print_results(cli.print_results), _print_meta(cli.print_meta)
    for name in ("util", "ssh_util"):
        module: Any = import_module(f"pyinfra.connectors.{name}")
        if module.getpass is getpass.getpass:
            module.getpass = _asking(module.getpass)

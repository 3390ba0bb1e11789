"""Runs pyinfra's own command line in this process, and hands back what it came to know.

So what `signalbox plan` and `signalbox rollout` say is what `pyinfra INVENTORY deploy.py` says: same selectors, same
hooks, same facts. Import `pyinfra_cli` first in a process that uses this: it patches the standard library.
"""

from __future__ import annotations

import io
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import click
import gevent
import pyinfra
from pyinfra.api import State
from pyinfra.context import ctx_config, ctx_host, ctx_inventory, ctx_state

from signalbox.engine.outcome import REMARK

# What would make pyinfra decide or ask something else than was asked of it here.
_PYINFRA_ENVIRONMENT = "PYINFRA_"


@dataclass
class Outcome:
    """How a run of pyinfra went.

    state: what it knows of each host, None where it ended before it had read an inventory. error: why it ended
    early, "" when it did not. remarks, warnings, errors: what it said of each host, by name; "" holds what is of no
    host.
    """

    state: State | None = None
    error: str = ""
    remarks: dict[str, list[str]] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)


class _Listener(logging.Handler):
    """Keeps remarks, warnings and errors by host, and passes every line on."""

    def __init__(self, outcome: Outcome, tell: Callable[[str], None] | None) -> None:
        super().__init__()
        self._outcome, self._tell = outcome, tell

    def emit(self, record: logging.LogRecord) -> None:
        message = click.unstyle(record.getMessage())
        if self._tell:
            self._tell(message)
        host, text = "", message.strip()
        if text.startswith("[") and "]" in text:
            host, text = text[1 : text.index("]")], text[text.index("]") + 1 :].strip()
        if record.levelno < logging.WARNING:
            if text.startswith(REMARK):
                self._outcome.remarks.setdefault(host, []).append(text.removeprefix(REMARK))
            return
        kept = self._outcome.errors if record.levelno >= logging.ERROR else self._outcome.warnings
        kept.setdefault(host, []).append(text)


@contextmanager
def _environment() -> Iterator[None]:
    kept = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(_PYINFRA_ENVIRONMENT)]:
        if not name.startswith("PYINFRA_FAKE_"):
            del os.environ[name]
    os.environ["PYINFRA_PROGRESS"] = "off"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


@contextmanager
def _log(listener: _Listener) -> Iterator[None]:
    cli: Any = import_module("pyinfra_cli.cli")
    original, handlers = cli.setup_logging, list(pyinfra.logger.handlers)

    def setup_logging(level: int, *_: Any) -> None:
        pyinfra.logger.setLevel(level)
        pyinfra.logger.handlers[:] = [listener]
        pyinfra.logger.propagate = False

    cli.setup_logging = setup_logging
    try:
        yield
    finally:
        cli.setup_logging = original
        pyinfra.logger.handlers[:] = handlers


@contextmanager
def _unasked() -> Iterator[None]:
    """Have sudo's password come from the settings alone: nobody answers a question in the middle of many hosts."""

    def refuse(prompt: str = "") -> str:
        host = prompt.partition("sudo password")[0]
        pyinfra.logger.error(f"{host}sudo asks for a password: write its secret's name as connection.sudo_password")
        return ""

    util: Any = import_module("pyinfra.connectors.util")
    original, util.getpass = util.getpass, refuse
    try:
        yield
    finally:
        util.getpass = original


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C and TERM end a run wherever it waits, as KeyboardInterrupt here, and not count as its end."""
    main, stopped = gevent.getcurrent(), False

    def interrupt() -> None:
        # Disconnecting takes a place in the pool: what still works there would be waited for.
        if ctx_state.isset() and ctx_state.get().initialised:  # type: ignore[no-untyped-call]
            ctx_state.get().pool.kill(block=False)  # type: ignore[no-untyped-call]
        if active:
            main.throw(KeyboardInterrupt)

    def stop(*_: Any) -> None:
        nonlocal stopped
        stopped = True
        gevent.get_hub().loop.run_callback(interrupt)

    active = True
    kept = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        active = False
        for number, handler in kept.items():
            signal.signal(number, handler)
        if stopped:
            raise KeyboardInterrupt


def drive(inventory: str, deploy: str, arguments: Sequence[str], tell: Callable[[str], None] | None = None) -> Outcome:
    """Run `pyinfra INVENTORY DEPLOY ARGUMENTS --json` here; nothing is asked and nothing printed.

    + arguments: pyinfra's own, such as `--dry`, `-y`, `--limit`.
    + tell: is given each line that pyinfra would have printed.

    Whatever goes wrong is told in the outcome; only Ctrl-C and SIGTERM raise (KeyboardInterrupt).
    """
    outcome = Outcome()
    cli: Any = import_module("pyinfra_cli.cli").cli
    for context in (ctx_state, ctx_inventory, ctx_config, ctx_host):
        context.reset()
    pyinfra.is_cli = True
    sys.dont_write_bytecode = True
    with (
        _environment(),
        _log(_Listener(outcome, tell)),
        _unasked(),
        _interruptible(),
        redirect_stdout(io.StringIO()),
    ):
        try:
            cli.main([inventory, deploy, *arguments, "--json"], prog_name="pyinfra", standalone_mode=False)
        except SystemExit:
            pass  # the way it ends; which hosts failed is in the state
        except click.Abort:
            raise KeyboardInterrupt from None
        except click.ClickException as error:
            outcome.error = _words(error)
        except Exception as error:  # pyinfra's own errors while it disconnects, or ours: not examined, so not clean
            outcome.error = f"{type(error).__name__}: {error}"
    if ctx_state.isset() and ctx_state.get().initialised:  # type: ignore[no-untyped-call]
        outcome.state = ctx_state.get()  # type: ignore[no-untyped-call]
    return outcome


def run(inventory: str, deploy: str, arguments: Sequence[str]) -> int:
    """Run `pyinfra INVENTORY DEPLOY ARGUMENTS` as a person would, who sees all of it and is asked; its exit status."""
    command = [sys.executable, "-m", "pyinfra", inventory, deploy, *arguments]
    with subprocess.Popen(command) as process:
        while True:
            with suppress(KeyboardInterrupt):  # it has it, too, and says what becomes of it
                return process.wait()


def _words(error: click.ClickException) -> str:
    cause = getattr(error, "exception", None)
    where = getattr(error, "filename", "")
    if cause is None or hasattr(error, "message"):
        return error.format_message()
    return f"{f'{where}: ' if where else ''}{type(cause).__name__}: {cause}"

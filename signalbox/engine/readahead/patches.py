"""Where reading ahead is put into pyinfra 3.10: around facts, and before everything that may change a host.

No frame of ours is on the stack when an operation is called: pyinfra orders operations by the lines on it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import gevent
import pyinfra.local
from paramiko import ChannelException
from pyinfra.api import FactBase, FunctionCommand, Host, State, facts
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import CommandOutput, OutputLine
from pyinfra.context import ctx_state

from signalbox.engine.readahead.cache import Known
from signalbox.engine.readahead.question import only_reads, question
from signalbox.engine.readahead.record import Record

# The fact whose command is about to run; None: no fact, so what runs may change the host.
_fact: ContextVar[type[FactBase[Any]] | None] = ContextVar("signalbox_fact", default=None)
# A command of a command, such as the one that brings sudo's password: part of what is under way.
_inside: ContextVar[bool] = ContextVar("signalbox_inside", default=False)
_KEY = "signalbox_readahead"
T = TypeVar("T")


def _known(host: Host) -> Known | None:
    """Return what is known of the host; None where reading ahead gains nothing (@local, @fake) or has no deploy."""
    if _KEY not in host.connector_data:
        if not host.state.current_deploy_filename:
            return None
        _look_at(host, host.state.current_deploy_filename)
    known: Known | None = host.connector_data.get(_KEY)
    return known


def _look_at(host: Host, deploy: str) -> None:
    if isinstance(host.connector, SSHConnector):
        path = str(Path(host.state.cwd or ".", deploy).resolve())
        host.connector_data[_KEY] = Known(host, Record(host.name, path))


def begin(host: Host, deploy: str, arguments: Mapping[str, Any]) -> None:
    """Ask ahead on a host that has just been connected, while the controller still reads the deploy.

    Args:
        deploy: the first file of the deploy, as pyinfra was given it.
        arguments: with what most facts will be asked: {} or pyinfra's `_sudo`, `_sudo_user`, `_sudo_password`.
    """
    if not _installed():
        return
    token = _inside.set(True)
    try:
        _look_at(host, deploy)
        if known := host.connector_data.get(_KEY):
            known.begin(arguments)
    finally:
        _inside.reset(token)


def ours(host: Host, quiet: float) -> None:
    """Hear that this run has the host's lock, which nobody had for `quiet` seconds before."""
    if _installed() and (known := _known(host)):
        known.ours(quiet)


def once(host: Host, make: Callable[[], T]) -> T | None:
    """Return what `make`, one function for all of the run, makes of facts of a host that is read ahead.

    It is called again only once they may be too old. None: the host is not read ahead, or something has changed.
    """
    known = _known(host) if _installed() else None
    return known.once(make) if known else None


def _state() -> State | None:
    return ctx_state.get() if ctx_state.isset() else None  # type: ignore[no-untyped-call]


def _changed_everywhere() -> None:
    state = _state()
    for host in state.inventory if state else ():
        if known := _known(host):
            known.changed()


def _get_fact(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def get_fact(state: State, host: Host, cls: type[FactBase[Any]], *args: Any, **kwargs: Any) -> Any:
        token = _fact.set(cls)
        try:
            return original(state, host, cls, *args, **kwargs)
        finally:
            _fact.reset(token)

    return get_fact


def _run_shell_command(original: Callable[..., Any]) -> Callable[..., Any]:
    def ordinary(known: Known, self: Host, command: Any, **kwargs: Any) -> tuple[bool, CommandOutput]:
        for pause in (0.1, 0.3, 1.0):
            try:
                return original(self, command, **kwargs)  # type: ignore[no-any-return]
            except ChannelException:
                # The server grants no further session beside ours, which take a moment to end; nothing was run yet.
                if not known.settle():
                    raise
                gevent.sleep(pause)
        return original(self, command, **kwargs)  # type: ignore[no-any-return]

    @wraps(original)
    def run_shell_command(self: Host, command: Any, **kwargs: Any) -> tuple[bool, CommandOutput]:
        known = None if _inside.get() else _known(self)
        if known is None:
            return original(self, command, **kwargs)  # type: ignore[no-any-return]
        token = _inside.set(True)
        try:
            fact = _fact.get()
            if fact is None or not only_reads(fact):
                known.changed()
                return ordinary(known, self, command, **kwargs)
            asked = question(command, kwargs)
            if asked is None:
                return ordinary(known, self, command, **kwargs)
            lines = known.find(asked, kwargs)
            if lines is not None:
                return True, CommandOutput([OutputLine("stdout", line) for line in lines])
            at = time.monotonic()
            done, output = ordinary(known, self, command, **kwargs)
            if done:
                known.learn(asked, kwargs, output.stdout_lines, at)
            return done, output
        finally:
            _inside.reset(token)

    return run_shell_command


def _after_change(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def change(self: Host, *args: Any, **kwargs: Any) -> Any:
        if known := _known(self):
            known.changed()
        return original(self, *args, **kwargs)

    return change


def _disconnect(original: Callable[[Host], None]) -> Callable[[Host], None]:
    @wraps(original)
    def disconnect(self: Host) -> None:
        if known := self.connector_data.pop(_KEY, None):
            known.save()
        original(self)

    return disconnect


def _function(original: Callable[..., None]) -> Callable[..., None]:
    # pyinfra makes the command that calls a Python function right before it runs it; while preparing it is only made.
    @wraps(original)
    def init(self: FunctionCommand, *args: Any, **kwargs: Any) -> None:
        state = _state()
        if state and state.is_executing:
            _changed_everywhere()
        original(self, *args, **kwargs)

    return init


def _local_shell(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def shell(*args: Any, **kwargs: Any) -> Any:
        _changed_everywhere()
        return original(*args, **kwargs)

    return shell


def _installed() -> bool:
    return hasattr(Host.run_shell_command, "__wrapped__")


def install() -> None:
    """Put reading ahead into pyinfra, unless SIGNALBOX_READ_AHEAD=0. Calling it again changes nothing."""
    if os.environ.get("SIGNALBOX_READ_AHEAD") == "0" or _installed():
        return
    facts._get_fact = _get_fact(facts._get_fact)
    for owner, name, wrap in (
        (Host, "run_shell_command", _run_shell_command),
        (Host, "put_file", _after_change),
        (Host, "get_file", _after_change),
        (Host, "rsync", _after_change),
        (Host, "disconnect", _disconnect),
        (FunctionCommand, "__init__", _function),
        (pyinfra.local, "shell", _local_shell),
    ):
        setattr(owner, name, wrap(getattr(owner, name)))

"""A host that goes wrong goes wrong alone: pyinfra ends a whole run with a traceback for what one host has said.

Whatever is raised while one host is connected, asked, prepared or deployed to fails that host by its name, with one
sentence, and the others go on. A traceback is kept in LOG, and told with -v. In runs that are Signalbox's alone.

A fact may say of itself: `patience`, the seconds that its answer may take; `always_answers`: to be silent is to fail.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from contextvars import ContextVar
from functools import wraps
from typing import Any

import gevent
from pyinfra import logger
from pyinfra.api import FactBase, Host, State, facts, operations
from pyinfra.api.exceptions import ConnectError, FactProcessError, NestedOperationError, PyinfraError
from pyinfra.api.output import format_text
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import CommandOutput
from pyinfra.context import ContextObject, ctx_host, ctx_state

from signalbox.engine import limits
from signalbox.engine.failures import SENTENCE, RunEndedError, failed, keep, sentence, tell
from signalbox.engine.limits import FACT, OPERATION, ExceededError, Limit, is_guarded, within
from signalbox.engine.watching import present

_LINES = 100  # of a command's output that are told when it fails; -vvv tells all
_LETTERS = 1000  # of each


# Whether the fact that is being asked had an answer to read: pyinfra takes none for its default, in silence.
_read: ContextVar[bool] = ContextVar("signalbox_read", default=False)
_unreadable: ContextVar[bool] = ContextVar("signalbox_unreadable", default=False)


class _HostFailed(gevent.GreenletExit):  # type: ignore[misc]
    """Ends what is done for a host that has failed; in pyinfra's own greenlets it is no error of the run."""


def guard(state: State) -> None:
    """Have each host of this run fail alone, and bounded."""
    limits.guard(state)


def _current() -> Host:
    """Return the host that this greenlet works on."""
    return ctx_host.get()  # type: ignore[no-any-return, no-untyped-call]


def _fail_hosts(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def fail_hosts(self: State, hosts_to_fail: set[Host], *args: Any, **kwargs: Any) -> None:
        # pyinfra's `host` is whichever host a greenlet works on: kept in a set it is another one elsewhere, or none.
        hosts = {_current() if isinstance(host, ContextObject) else host for host in hosts_to_fail}
        try:
            original(self, hosts, *args, **kwargs)
        except PyinfraError as error:
            raise RunEndedError(str(error)) from None

    return fail_hosts


def _connect(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def connect(self: SSHConnector) -> None:
        try:
            original(self)
        except Exception as error:
            if isinstance(error, ConnectError) or not is_guarded():
                raise
            raise ConnectError(f"SSH error: {sentence(error)}") from None

    return connect


def _get_fact(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def get_fact(state: State, host: Host, cls: type[FactBase[Any]], *args: Any, **kwargs: Any) -> Any:
        if not is_guarded():
            return original(state, host, cls, *args, **kwargs)
        _foresee(cls)
        token, unreadable = _read.set(False), _unreadable.set(False)
        try:
            with within(Limit(FACT.bytes, getattr(cls, "patience", FACT.seconds))):
                answer = original(state, host, cls, *args, **kwargs)
            answers = getattr(cls, "always_answers", False)
            silent = answers and not _read.get() and not _is_simulated(host)
            unread = answers and _unreadable.get()
        finally:
            _read.reset(token)
            _unreadable.reset(unreadable)
        if silent and host not in state.failed_hosts:
            tell(host, f"{cls.name}: the host answered nothing")
        # Also where an operation's errors are ignored: what it would do then, it would do to what it has not seen.
        if silent or unread:
            state.fail_hosts({host})  # type: ignore[no-untyped-call]
        if host in state.failed_hosts:
            raise _HostFailed  # what comes of the fact's default would be a lie
        return answer

    return get_fact


def _is_simulated(host: Host) -> bool:
    return not isinstance(host.connector, SSHConnector | LocalConnector)


def _foresee(cls: type[FactBase[Any]]) -> None:
    """Have what a fact cannot read be the one error of it that pyinfra takes for the host's."""
    original = cls.process
    if getattr(original, "signalbox", False):
        return

    @wraps(original)
    def process(self: FactBase[Any], output: list[str]) -> Any:
        _read.set(True)
        try:
            return original(self, output)
        except FactProcessError:
            _unreadable.set(True)
            raise
        except Exception as error:
            _unreadable.set(True)
            where = keep(_current(), error)
            more = f" (traceback in {where})" if where else ""
            raise FactProcessError(f"the host's answer cannot be read: {sentence(error)}{more}") from None

    process.signalbox = True  # type: ignore[attr-defined]
    cls.process = process  # type: ignore[method-assign]


def _parallel_load_hosts(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def parallel_load_hosts(state: State, callback: Callable[[], None], name: str) -> None:
        def load() -> None:
            host = _current()
            try:
                callback()
            except RunEndedError:
                raise
            except Exception as error:
                failed(state, host, error)
            if host in state.failed_hosts:
                raise _HostFailed  # it is not "ready"

        original(state, load if is_guarded() else callback, name)

    return parallel_load_hosts


def _run_host_op(original: Callable[..., bool]) -> Callable[..., bool]:
    @wraps(original)
    def run_host_op(state: State, host: Host, op_hash: str) -> bool:
        if not is_guarded() or op_hash not in state.ops[host]:
            return original(state, host, op_hash)
        data = state.get_op_data_for_host(host, op_hash)
        generator, begun = data.command_generator, False

        def commands() -> Iterator[Any]:
            nonlocal begun
            for command in generator():
                begun = True
                yield command

        data.command_generator = commands
        try:
            with within(OPERATION):
                return original(state, host, op_hash)
        except NestedOperationError:
            raise
        except (_HostFailed, RunEndedError):
            pass  # it is told; that no host is left, pyinfra finds once all are through
        except Exception as error:
            with suppress(RunEndedError):
                failed(state, host, error)
        finally:
            data.command_generator = generator
        if begun and not data.operation_meta.is_complete():  # else nothing was done
            data.operation_meta.set_complete(False, [], CommandOutput([]))
            state.get_results_for_host(host).error_ops += 1
        return False

    return run_host_op


def _run_host_ops(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def run_host_ops(state: State, host: Host, *args: Any, **kwargs: Any) -> None:
        try:
            original(state, host, *args, **kwargs)
        except PyinfraError:
            if not is_guarded():
                raise
            # Where all hosts run at once, pyinfra forgets that one has failed, and nobody hears a greenlet that raises.
            with suppress(RunEndedError) if gevent.getcurrent() in state.pool else nullcontext():
                state.fail_hosts({host})  # type: ignore[no-untyped-call]

    return run_host_ops


def _command_error(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def log_host_command_error(host: Host, error: Exception, timeout: int | None = 0) -> None:
        if isinstance(error, ExceededError):
            tell(host, str(error))
        else:
            original(host, error, timeout=timeout)

    return log_host_command_error


def _fact_error(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def log_error_or_warning(
        host: Host, ignore_errors: bool, description: str = "", exception: Exception | None = None, **kwargs: Any
    ) -> None:
        # The arguments of a fact are no sentence: some are programs.
        short = description if len(description) <= SENTENCE else f"{description[:SENTENCE]}…"
        if exception is None or ignore_errors or not is_guarded():
            original(host, ignore_errors, short, exception=exception, **kwargs)
        else:
            what = short.removeprefix("could not process fact: ").partition(" (")[0].strip()
            tell(host, f"{what}: {sentence(exception)}")

    return log_error_or_warning


def _combined_output(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def print_host_combined_output(host: Host, output: CommandOutput) -> None:
        lines = output.combined_lines
        if is_guarded() and len(lines) > _LINES:
            host.log(f"({len(lines) - _LINES} lines before these; -vvv tells all)", log_func=logger.error)
            lines = lines[-_LINES:]
        short = [type(line)(line.buffer_name, line.line[:_LETTERS]) for line in lines]
        original(host, CommandOutput(short if is_guarded() else lines))

    return print_host_combined_output


def _show(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def show(self: Any, file: Any = None) -> None:
        if not isinstance(self.exception, RunEndedError):
            present.finish()
            if type(self.exception).__module__.startswith("signalbox."):  # its words are for people; no line of ours is
                logger.warning(f"--> {format_text('Error', 'red', bold=True)}: {self}")
                return None
            return original(self, file)
        state = ctx_state.get()  # type: ignore[no-untyped-call]
        names = sorted(str(host.name) for host in state.failed_hosts)
        told = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
        why = "no host is left" if str(self.exception) == "No hosts remaining!" else str(self.exception)
        words = f"{why}; why {told} failed is told above" if names else why
        if present.is_shown():
            present.finish(f"the run has ended: {words}")
        else:
            logger.warning(f"--> {format_text('the run has ended', 'red', bold=True)}: {words}")
            present.finish()
        return None

    return show


def install() -> None:
    """Put it into pyinfra and its command line. Calling it again changes nothing."""
    if hasattr(State.fail_hosts, "__wrapped__"):
        return
    wrapped: list[tuple[Any, str, Callable[..., Any]]] = [
        (State, "fail_hosts", _fail_hosts),
        (SSHConnector, "connect", _connect),
        (facts, "_get_fact", _get_fact),
        (operations, "_run_host_op", _run_host_op),
        (operations, "_run_host_ops", _run_host_ops),
        (facts, "log_error_or_warning", _fact_error),
    ]
    for module in (facts, operations):
        wrapped += [
            (module, "log_host_command_error", _command_error),
            (module, "print_host_combined_output", _combined_output),
        ]
    if "pyinfra_cli.cli" in sys.modules:
        wrapped += [
            (sys.modules["pyinfra_cli.util"], "_parallel_load_hosts", _parallel_load_hosts),
            (sys.modules["pyinfra_cli.exceptions"].WrappedError, "show", _show),
        ]
    for owner, name, wrap in wrapped:
        setattr(owner, name, wrap(getattr(owner, name)))

"""Why a host fails: told in one sentence, and kept with its traceback in LOG where nobody foresaw the error."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import click
from pyinfra import logger
from pyinfra.api import Host, State
from pyinfra.api.exceptions import PyinfraError

from signalbox.engine.history import state_directory
from signalbox.engine.limits import ExceededError
from signalbox.engine.lock import LockError
from signalbox.host.shared.output import shown

LOG = "errors.log"  # in this project's state directory
_LOG_BYTES = 1_000_000  # then it begins anew
SENTENCE = 400  # letters of what is told of an error


class RunEndedError(PyinfraError):
    """No host is left, or more have failed than may: the run ends, and why is told already."""


def tell(host: Host, sentence: str) -> None:
    """Say why this host fails."""
    host.log_styled(" ".join(sentence.split()), log_func=logger.error, fg="red")


def failed(state: State, host: Host, error: Exception) -> None:
    """Say why this host fails, keep the traceback where nobody foresaw the error, and have the host fail.

    Raises:
        RunEndedError: it was the last.
    """
    tell(host, sentence(error))
    if not _foreseen(error):
        where = keep(host, error)
        tell(host, f"that was not foreseen; its traceback is in {where}" if where else "that was not foreseen")
        if state.print_fact_info:
            logger.error("".join(traceback.format_exception(_cause(error))))
    state.fail_hosts({host})  # type: ignore[no-untyped-call]


def sentence(error: Exception) -> str:
    """Return an error in words."""
    cause = _cause(error)
    words = str(cause) or type(cause).__name__
    if not _foreseen(error):
        words = f"{type(cause).__name__}: {words}"
    return words if len(words) <= SENTENCE else f"{words[:SENTENCE]}…"


def _cause(error: Exception) -> Exception:
    """Return what was raised in a deploy file: pyinfra wraps it."""
    inner = getattr(error, "exception", None)
    return inner if isinstance(error, click.ClickException) and isinstance(inner, Exception) else error


def _foreseen(error: Exception) -> bool:
    return isinstance(_cause(error), PyinfraError | click.ClickException | ExceededError | LockError)


def keep(host: Host | None, error: Exception) -> Path | None:
    """Keep the traceback of an error; return where, None where that cannot be."""
    text = shown("".join(traceback.format_exception(_cause(error))), lines=True)
    path = state_directory() / LOG
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = not path.exists() or path.stat().st_size > _LOG_BYTES
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_TRUNC if fresh else os.O_APPEND)
        with open(os.open(path, flags, 0o600), "a", encoding="utf-8") as file:
            file.write(f"{host}:\n{text}\n")
    except OSError:
        return None
    return path

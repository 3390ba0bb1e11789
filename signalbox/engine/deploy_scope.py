"""What surrounds every deploy, however pyinfra was started: the hosts' locks before it, records of it afterwards."""

from __future__ import annotations

import getpass
import json
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import gevent
from pyinfra import logger
from pyinfra.api import Host, State
from pyinfra.api.exceptions import PyinfraError
from pyinfra.context import ctx_state

from signalbox import git
from signalbox.engine import deployed, failures, history
from signalbox.engine.history import Record
from signalbox.engine.lock import Lock, Owner
from signalbox.engine.readahead import patches as readahead
from signalbox.settings import settings_for

SCHEMA = 1  # of a record; docs/fleet.md
_LOST = "signalbox_lock_lost"


Ending = Callable[[State], None]
_endings: WeakKeyDictionary[State, set[Ending]] = WeakKeyDictionary()


def at_the_end(ending: Ending) -> None:
    """Have this called once the run that prepares now has done all of it, while the hosts' locks are held."""
    state: State = ctx_state.get()  # type: ignore[no-untyped-call]
    _endings.setdefault(state, set()).add(ending)  # each host's part of the run says so


def end(state: State) -> None:
    """Call what `at_the_end` was given in this run."""
    for ending in _endings.pop(state, set()):
        ending(state)


def who() -> str:
    """Return who runs this, as "user@machine"."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def commit() -> str:
    """Return the short id of the commit that is deployed, with a "+" for changes since; "" outside of git."""
    head, changes = _checked_out()
    return f"{head}+" if head and changes else head


def code() -> str:
    """Return `commit`, and a hash of the changes since, so that no two states of tracked files have the same."""
    return commit() + _checked_out()[1][:12]


@cache
def _checked_out() -> tuple[str, str]:
    return git.state()


@contextmanager
def applied(state: State, deploy: str | None) -> Iterator[None]:
    """Hold the locks of all active hosts meanwhile; a host that somebody else has fails alone, told by whom.

    deploy: the name of its file; None for what places nothing.
    """
    run, started = secrets.token_hex(4), datetime.now(UTC)
    _checked_out()  # while nobody else asks: each host's greenlet would run git before the first had its answer
    locks = _take(state, run, started)
    begun = time.monotonic()
    with _history(run, [_record(host, run, started) for host in locks]) as records:
        end = "interrupted"
        try:
            yield
            end = "done"
        except PyinfraError:
            end = "done"  # its way to say that hosts failed
            raise
        finally:
            seconds = round(time.monotonic() - begun, 1)
            records += [_record(host, run, started, seconds=seconds, **_result(state, host, end)) for host in locks]
            pairs = zip(locks.values(), records, strict=True)
            gevent.joinall([gevent.spawn(lock.release, json.dumps(record)) for lock, record in pairs])
            _remember(state, deploy, dict(zip(locks, records, strict=True)))


def _remember(state: State, deploy: str | None, records: dict[Host, Record]) -> None:
    """Note what each host now has, where anything was done to it."""
    for host, record in records.items():
        if deploy and touched(state, host):
            whole = record["result"] in ("changed", "unchanged")
            with suppress(OSError):  # which the history has told
                deployed.remember(state.inventory, host.name, record["commit"], deploy, whole)


def touched(state: State, host: Host) -> bool:
    """Return whether an operation has run on this host, in this run, under its own lock."""
    ran = any(data.operation_meta.is_complete() for data in state.ops[host].values())
    return ran and not host.connector_data.get(_LOST)


def _record(host: Host, run: str, started: datetime, **how: Any) -> Record:
    """Return the record of a run on a host; without `how` it went, that of one that was killed."""
    unknown = {"seconds": None, "result": "interrupted", "changed": None, "failed": None}
    return {"schema": SCHEMA, "time": _iso(started), "run": run, "host": host.name, "who": who(), "commit": commit(),
            "reason": _reason(host), **unknown, **how}  # fmt: skip


@contextmanager
def _history(run: str, unfinished: list[Record]) -> Iterator[list[Record]]:
    """Have this machine's history hold the records that are put into the list, or those of an unfinished run."""
    records: list[Record] = []
    try:
        running = history.begin(run, unfinished)
    except OSError as error:
        logger.warning(f"this deploy will not be in `signalbox history` of this machine: {error}")
        yield records
        return
    try:
        yield records
    finally:
        try:
            history.end(running, records)
        except OSError as error:
            logger.warning(f"this deploy is not in `signalbox history` of this machine: {error}")


def _take(state: State, run: str, now: datetime) -> dict[Host, Lock]:
    hosts = [host for host in state.active_hosts if settings_for(host).lock.enabled]
    jobs = {host: state.pool.spawn(_lock, host, run, now) for host in hosts}
    locks, failed = {}, set()
    for host, job in jobs.items():
        job.join()
        if isinstance(job.value, Exception):
            failed.add(host)
            failures.tell(host, f"the lock cannot be taken: {failures.sentence(job.value)}")
        elif job.value.busy:
            failed.add(host)
            host.log_styled(f"another deploy runs: {job.value.busy}", log_func=logger.error, fg="red")
        else:
            locks[host] = job.value
            readahead.ours(host, job.value.quiet)
            job.value.on_loss(lambda host=host: _lost(state, host))
    state.fail_hosts(failed)  # type: ignore[no-untyped-call]
    return locks


def _lock(host: Host, run: str, now: datetime) -> Lock | Exception:
    try:
        return _locked(host, run, now)
    except Exception as error:  # raised in a greenlet, it would be printed with its traceback
        return error


def _locked(host: Host, run: str, now: datetime) -> Lock:
    settings = settings_for(host)
    expires = timedelta(minutes=settings.lock.expires_minutes)
    owner = Owner(who(), _reason(host), run, _iso(now), _iso(now + expires))
    unfinished = json.dumps(_record(host, run, now))
    return Lock(
        host, settings.privileges(), owner, unfinished, settings.lock.wait_seconds, int(expires.total_seconds())
    )


def _lost(state: State, host: Host) -> None:
    if host in state.active_hosts:
        host.connector_data[_LOST] = True
        words = "its lock was broken or has expired, so this run stops here"
        host.log_styled(words, log_func=logger.error, fg="red")
        with suppress(PyinfraError):  # "no hosts remaining" is told by the run itself
            state.fail_hosts({host})  # type: ignore[no-untyped-call]


def _reason(host: Host) -> str:
    return settings_for(host).lock.reason or (f"commit {commit()}" if commit() else "a deploy")


def _result(state: State, host: Host, end: str) -> dict[str, Any]:
    changed, failed, incomplete = [], [], False
    for op_hash, data in state.ops[host].items():
        meta, name = data.operation_meta, " / ".join(sorted(state.op_meta[op_hash].names))
        if not meta.is_complete():
            incomplete = True
        elif not meta.did_succeed():
            failed.append(name)
        elif meta.did_change():
            changed.append(name)
    if host in state.failed_hosts:
        result = "failed"
    elif end == "interrupted" or incomplete:
        result = "interrupted"
    else:
        result = "changed" if changed else "unchanged"
    return {"result": result, "changed": changed, "failed": failed}


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

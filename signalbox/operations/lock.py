"""The lock of a deploy, when its owner is gone."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import operation

from signalbox.facts.lock import LockOwner
from signalbox.operations.commands import Commands
from signalbox.shell import sh


@operation()
def lock_broken(run: str) -> Commands:
    """End the lock that the run `run` holds; the lock of another run is left alone. That run then stops by itself."""
    owner = host.get_fact(LockOwner)
    if owner is None or owner.run != run or owner.pid < 2:
        host.noop("no such lock is held")
        return
    # Without what it waits for, the shell leaves its record and ends; if it does not, it is ended.
    yield sh("pkill -P {pid}; timeout 5 tail --pid={pid} -f /dev/null || kill -KILL {pid}", pid=owner.pid)

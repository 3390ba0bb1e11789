"""The deploy file of `signalbox lock`: who holds the lock, and its end where `_break` names that run."""

from pyinfra import host

from signalbox.facts.lock import LockOwner
from signalbox.operations.lock import lock_broken
from signalbox.settings import settings_for

root = settings_for(host).privileges()
host.connector_data["signalbox_lock"] = host.get_fact(LockOwner, **root)
for run in host.data.get("_break") or ():
    lock_broken(name="the lock is free", run=run, **root)

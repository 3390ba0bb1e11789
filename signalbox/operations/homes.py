"""Homes that nobody else looks into."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import operation

from signalbox.engine.changes import differs, want
from signalbox.operations.commands import Commands
from signalbox.operations.placed import placed
from signalbox.shell import all_of, manifest, sh
from signalbox.shell.run_as import as_owner


@operation()
def private_home(account: str, home: str) -> Commands:
    """Have nothing of the directory `home` open to other users. The mode it had is kept in the manifest."""
    now = placed(home, "mode")
    want("mode", home)
    if now.type is None or now.mode.endswith("00"):
        host.noop(f"the home of {account} is private")
        return
    differs(f"{home}, mode", now.mode, f"{now.mode[:-2]}00")
    entry = manifest.Entry("mode", home, hash="go=", original=now.entry.original if now.entry else now.mode)
    yield all_of(manifest.record(entry), as_owner(account, sh("chmod go= {}", home)))

"""Programs: what those of several sections share on a host."""

from __future__ import annotations

from signalbox import host
from signalbox.engine.deploy import deploy
from signalbox.operations import directories, files

BASE = "/usr/local/lib/signalbox"


@deploy("Programs")
def programs(wanted: bool) -> None:
    """Place what launchers and claude-doctor share, where either is `wanted`."""
    if not wanted:
        return
    directories(name="programs have their directories", paths=[BASE, f"{BASE}/shared"])
    files(
        name="what programs share is in place",
        contents={f"{BASE}/{path}": text for path, text in host.programs("shared").items()},
    )

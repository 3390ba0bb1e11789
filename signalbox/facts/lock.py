"""Who deploys to the host at this moment."""

from __future__ import annotations

from pyinfra.api import FactBase

from signalbox.lock import PATH, Owner


class LockOwner(FactBase[Owner | None]):
    """The owner of the host's lock, None if nobody has it."""

    def command(self) -> str:
        """Return the command."""
        return f"[ ! -e {PATH} ] || flock -n {PATH} true || cat {PATH}"

    def process(self, output: list[str]) -> Owner | None:
        """Read the lock's line."""
        return Owner.read(output[0]) if output else None

"""Who deploys to the host at this moment."""

from __future__ import annotations

from signalbox.engine.lock import PATH, Owner
from signalbox.shell import Script, sh
from signalbox.shell.answer import HostFact, asked, fields


class LockOwner(HostFact[Owner | None]):
    """The owner of the host's lock, None if nobody has it."""

    def command(self) -> Script:
        """Return the command."""
        return asked(sh("[ ! -e {path} ] || flock -n {path} true || {{ head -n1 {path}; printf '\\0'; }}", path=PATH))

    def process(self, output: list[str]) -> Owner | None:
        """Read the lock's line."""
        told = fields(output)
        return Owner.read(told[0].rstrip("\n")) if told and told[0] else None

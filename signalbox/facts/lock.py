"""Who deploys to the host at this moment."""

from __future__ import annotations

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from signalbox.lock import PATH, Owner

_MARK = "signalbox-lock:"  # tells the answer from what a shell greets with


class LockOwner(FactBase[Owner | None]):
    """The owner of the host's lock, None if nobody has it."""

    always_answers = True

    def command(self) -> str:
        """Return the command."""
        return f"printf '\\n%s' {_MARK}; [ ! -e {PATH} ] || flock -n {PATH} true || head -n 1 {PATH}; echo"

    def process(self, output: list[str]) -> Owner | None:
        """Read the lock's line. Raises FactProcessError."""
        marked = [line.removeprefix(_MARK) for line in output if line.startswith(_MARK)]
        if len(marked) != 1:
            raise FactProcessError("the host does not say whether its lock is held")
        return Owner.read(marked[0]) if marked[0] else None

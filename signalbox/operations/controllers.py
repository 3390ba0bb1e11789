"""Where deploys come from: addresses that are never banned, whichever machine deploys next."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pyinfra import host
from pyinfra.api import operation

from signalbox.desired.firewall import CONTROLLER, contains, resolved
from signalbox.engine.changes import differs
from signalbox.facts.networks import Networks
from signalbox.facts.reach import Controllers, Session
from signalbox.operations.commands import Commands
from signalbox.shell import fed, sh
from signalbox.shell.manifest import CONTROLLERS, MAKE

KEPT = 8


def spared(names: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the networks of `names`, and the addresses that "controller" stands for, as they shall be known.

    Those are not this deploy's alone: one from elsewhere must find the same, and leave the one before it spared.
    """
    attached = host.get_fact(Networks)
    others = resolved([name for name in names if name != CONTROLLER], attached) or []
    known = host.get_fact(Controllers)
    if CONTROLLER not in names:
        return others, known
    controller = host.get_fact(Session, _sudo=False).controller
    new = [controller] if controller and controller not in known and not contains(others, controller) else []
    controllers = [*known, *new][-KEPT:]
    return resolved([*others, *controllers], attached) or [], controllers


@operation()
def controllers_known(controllers: Sequence[str]) -> Commands:
    """Have these addresses, the newest last, remembered for the next deploys, wherever they come from."""
    known = host.get_fact(Controllers)
    if known == list(controllers):
        host.noop("it is known where deploys come from")
        return
    differs("where deploys come from", ", ".join(known), ", ".join(controllers))
    script = sh("{make} && cat > {path}.new && mv {path}.new {path}", make=MAKE, path=CONTROLLERS)
    yield fed(script, "\n".join(controllers))

"""Leftovers: what the manifest lists, and no task of this deploy asks for any more, is gone."""

from __future__ import annotations

from signalbox.engine.deploy import deploy
from signalbox.operations import leftovers_gone
from signalbox.operations.guarded import Proof
from signalbox.settings.sections.leftovers import Leftovers


@deploy("Leftovers")
def leftovers(settings: Leftovers, proof: Proof) -> None:
    """Take away what earlier settings asked for; after all other tasks, which state what is wanted.

    So a lane, a package or a whole section that is switched off goes from the host, and what it replaced is given
    back. Users are never taken away here: remove.py does that. `proof`: whom the keys that are left must let in.
    """
    if not settings.enabled:
        return
    leftovers_gone(name="nothing is left of what earlier settings asked for", proof=proof)

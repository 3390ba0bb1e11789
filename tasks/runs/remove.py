"""What takes it all away again; what it replaced comes back."""

from __future__ import annotations

from pyinfra import host

from signalbox.operations.guarded import Proof
from signalbox.settings import settings_for

from ..remove import remove


def run() -> None:
    """Take everything away from the host that pyinfra works on."""
    s = settings_for(host)
    claude, keeper = s.service_account, s.gateway_account
    # The guard is on the host, or it is not, whatever the settings have come to say.
    proof = Proof(claude.name, s.guard.login_seconds, guard=False)
    remove(s.remove, claude, (keeper,) if keeper != claude else (), proof, **s.privileges())

"""What settings ask of a machine before any task does."""

from __future__ import annotations

from signalbox.desired.ground import Needs
from signalbox.settings import Settings


def machine_needs(settings: Settings) -> Needs:
    """Return it; users only where tasks make or use them."""
    engines = settings.docker_accounts if settings.rootless_docker.enabled else ()
    users = {account.name for account in engines}
    if settings.service_user.enabled or settings.toolchain.enabled or settings.launchers.enabled:
        users.add(settings.service_account.name)
    return Needs(
        users=sorted(users),
        claude=settings.toolchain.enabled,
        engines=len(engines),
        disk_mib=settings.preflight.min_disk_mib,
    )

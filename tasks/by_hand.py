"""By hand: what somebody set up by the guide, and Signalbox does in its place, is set aside; `signalbox adopt`."""

from __future__ import annotations

from signalbox.engine.deploy import deploy
from signalbox.operations import container_set_aside, file_set_aside, shells_without
from signalbox.settings import Account
from signalbox.settings.sections.by_hand import ByHand


@deploy("By hand")
def by_hand(settings: ByHand, account: Account) -> None:
    """Set aside what `account` has by hand: before the gateway, which wants the port, and the launchers."""
    if not settings.enabled:
        return
    user = account.name
    for container in settings.containers:
        container_set_aside(
            name=f"{user}: the container {container} is set aside", container=container, account=user, home=account.home
        )
    if settings.functions or settings.files:
        shells_without(
            name=f"{user}: shells define no launcher and load no key by hand",
            names=list(settings.functions),
            files=list(settings.files),
            account=user,
            home=account.home,
        )
    for file in settings.files:
        file_set_aside(name=f"{user}: ~/{file} is set aside", path=account.path(file))

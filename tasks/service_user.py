"""Service user: the account the agent runs as, which keys reach it, and what it may do."""

from __future__ import annotations

import re

from pyinfra import host

from signalbox.desired.render import render
from signalbox.engine.changes import want
from signalbox.engine.deploy import deploy
from signalbox.engine.outcome import warn
from signalbox.facts import UserCommand
from signalbox.operations import (
    authorized_keys,
    directories,
    file,
    linger,
    packages,
    password,
    subordinate_ids,
    sudo_rule,
    user,
)
from signalbox.operations.placed import manifest_now
from signalbox.secrets import Secret
from signalbox.settings import Account
from signalbox.settings.account import NOLOGIN
from signalbox.settings.sections.service_user import ServiceUser
from signalbox.shell import sh

SUDO = {
    "none": ("has no sudo", None),
    "password": ("may use sudo with its password", "ALL=(ALL:ALL) ALL"),
    "nopasswd": ("may use sudo without a password, WHICH MAKES THE AGENT ROOT", "ALL=(ALL:ALL) NOPASSWD: ALL"),
}
DELEGATE = "/etc/systemd/system/user@.service.d"


@deploy("Service user")
def service_user(settings: ServiceUser, account: Account, others: tuple[Account, ...], login: Secret | None) -> None:
    """Create `account` as the settings say, and `others` (such as the gateway's own user) without keys or sudo.

    + login: the password of `account`; None: it has none.
    """
    if not settings.enabled:
        # Like the user itself: others have something of it, and it is how a person comes in.
        for entry in manifest_now().entries:
            if entry.kind == "key" and entry.id.startswith(f"{account.name}:"):
                want("key", entry.id)
        return
    # Before a user manager starts: rootless containers get their resource limits through it.
    directories(name="systemd drop-ins for user managers have a directory", paths=[DELEGATE])
    file(
        name="the file that lets user managers delegate is in place",
        path=f"{DELEGATE}/50-signalbox.conf",
        content=render("service_user/50-signalbox.conf"),
    )
    for each in (account, *others):
        shell = settings.shell if each == account else NOLOGIN
        user(name=f"user {each.name} exists", account=each.name, home=each.home, shell=shell)
        subordinate_ids(name=f"user {each.name} has subordinate ids", account=each.name)
        linger(
            name=f"services of {each.name} start at boot" if settings.linger else f"{each.name} does not linger",
            account=each.name,
            home=each.home,
            wanted=settings.linger,
        )
    _earlier({account.name, *(each.name for each in others)})
    if settings.authorized_keys:
        authorized_keys(
            name=f"{account.name} has its authorized keys",
            account=account.name,
            home=account.home,
            keys=list(settings.authorized_keys),
        )
    if login:
        password(
            name=f"{account.name} has a password",
            account=account.name,
            value=login.reveal(),
        )
    if settings.sudo != "none":
        packages(name="sudo is installed", wanted=["sudo"])
    words, rule = SUDO[settings.sudo]
    sudo_rule(name=f"{account.name} {words}", account=account.name, rule=rule)


_RUNNING = sh("systemctl --user --plain --no-legend list-units --type=service --state=running | cut -d ' ' -f 1")


def _earlier(users: set[str]) -> None:
    """Say what becomes of users that have services by an earlier deploy, and are not among these any more."""
    for entry in manifest_now().entries:
        if entry.kind == "linger" and entry.hash != "off" and entry.id not in users:
            home = Account.named(entry.id).home
            told = host.get_fact(UserCommand, user=entry.id, home=home, script=_RUNNING)
            running = [unit for unit in told if re.fullmatch(r"[\w@.:-]+\.service", unit, re.ASCII)]
            warn(
                f"{entry.id} is a user of earlier settings: it stays, with its home and what is in it, such as"
                f" conversations; what runs as it stops: {', '.join(running) or 'nothing, as it looks'}"
            )

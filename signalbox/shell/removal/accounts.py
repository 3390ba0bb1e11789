"""Users, with what makes them able to have services: linger, and ids for their containers."""

from __future__ import annotations

import re

from signalbox.settings.account import Account
from signalbox.shell import Script, sh
from signalbox.shell.manifest import Entry


def subids_back(entry: Entry) -> Script:
    if entry.original:  # from useradd, or a person's: they stay as long as the user does
        return sh("true")
    line = f"^{re.escape(entry.id)}:{entry.hash or '[0-9]*'}:65536$"
    return sh("sed -i --follow-symlinks {} /etc/subuid /etc/subgid", f"/{line}/d")


def linger_back(account: str) -> Script:
    """Return shell that has a user's services start at boot again, as it was before us."""
    return sh("if id -u {account} >/dev/null 2>&1; then loginctl enable-linger {account}; fi", account=account)


def linger_gone(account: str) -> Script:
    return sh(
        "if id -u {account} >/dev/null 2>&1; then loginctl disable-linger {account}"
        ' && systemctl stop user@"$(id -u {account})".service; fi',
        account=account,
    )


def mounts_below(home: str) -> Script:
    """Return shell that prints where something is mounted below `home`."""
    return sh("awk -v below={} {} /proc/self/mountinfo", f"{home}/", "index($5, below) == 1 {print $5}")


def user_gone(account: str, group: str | None) -> Script:
    """Return shell that takes a user away with its home; `group`: the id of the group of its name that was there."""
    # Before anything of it is gone: what is mounted there is somebody else's, and stands in the way of the rest.
    return sh(
        "if id -u {account} >/dev/null 2>&1; then {{ {linger}; }}"
        " && {{ pkill -KILL -u {account} || true; }} && there=$({mounts})"
        ' && {{ [ -z "$there" ] || {{ echo "unmount this first:" $there >&2; false; }}; }}'
        # The home may be a file system of its own: then its root stays, empty.
        " && {{ [ ! -d {home} ] || {{ find {home} -xdev -mindepth 1 -delete"
        " && {{ rmdir {home} || mountpoint -q {home}; }}; }}; }} && userdel {account}{group}; fi",
        # userdel takes it along.
        group=sh(" && {{ getent group {} >/dev/null || groupadd --gid {} {}; }}", account, group, account)
        if group
        else sh(""),
        mounts=mounts_below(Account.named(account).home),
        account=account,
        linger=linger_gone(account),
        home=Account.named(account).home,
    )

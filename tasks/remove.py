"""Remove: the host without what Signalbox placed, and with what it replaced."""

from __future__ import annotations

from pyinfra.api import deploy

from signalbox.operations import docker_storage_gone, sshd_as_before, state_gone, taken_away
from signalbox.operations.guarded import Proof
from signalbox.settings import Account
from signalbox.settings.sections import Remove


@deploy("Remove")
def remove(settings: Remove, account: Account, others: tuple[Account, ...], proof: Proof) -> None:
    """Take away all that the manifest lists. `others`: users that hold nothing of a person's, such as the gateway's.

    `account`, the service user, keeps its home with sessions and projects, unless the settings say otherwise.
    proof: who must still log in when sshd is as it was.
    """
    sshd_as_before(name="sshd is as it was, and logins are proven", proof=proof)
    for each in dict.fromkeys((*others, account)):
        docker_storage_gone(name=f"{each.name} has no storage of rootless Docker", account=each.name, home=each.home)
    placed = ("unit", "image", "link", "file", "line", "aside", "key", "tool")
    taken_away(name="units are stopped, and files are gone or as they were", kinds=placed)
    taken_away(name="the kernel's settings are as they were", kinds=("sysctl",))
    taken_away(name="containers that were set aside run again", kinds=("container",))
    taken_away(name="directories that are empty are gone", kinds=("directory",))
    taken_away(name="packages that Signalbox installed are gone", kinds=("package",))
    taken_away(name="what ran before Signalbox runs again", kinds=("stopped",))
    taken_away(name="homes are open to whom they were", kinds=("mode",))
    users = [each.name for each in others if each != account]
    if settings.homes:
        users.append(account.name)
    taken_away(name="nobody lingers because of Signalbox", kinds=("linger", "subids"))
    taken_away(name=f"users are gone with their homes: {', '.join(users) or 'none'}", kinds=("user",), users=users)
    state_gone(name="what Signalbox knew of the host is gone, but for what could not be given back")

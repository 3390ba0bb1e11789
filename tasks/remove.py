"""Remove: the host without what Signalbox placed, and with what it replaced."""

from __future__ import annotations

from signalbox.engine.deploy import deploy
from signalbox.engine.outcome import fail, remark
from signalbox.operations import docker_storage_gone, sshd_as_before, state_gone, taken_away
from signalbox.operations.guarded import Proof
from signalbox.operations.handover import nothing_handed_over
from signalbox.operations.leftovers import mounted_below
from signalbox.operations.placed import manifest_now
from signalbox.settings import Account
from signalbox.settings.account import NOLOGIN
from signalbox.settings.sections.remove import Remove


@deploy("Remove")
def remove(settings: Remove, account: Account, others: tuple[Account, ...], proof: Proof) -> None:
    """Take away all that the manifest lists. `others`: users that hold nothing of a person's, such as the gateway's.

    `account`, the service user, keeps its home with sessions and projects, unless the settings say otherwise.
    proof: who must still log in when sshd is as it was.
    """
    made = {entry.id: entry.hash for entry in manifest_now().entries if entry.kind == "user"}
    earlier = [Account.named(name) for name, shell in made.items() if shell == NOLOGIN and name != account.name]
    users = [each.name for each in dict.fromkeys((*others, *earlier)) if each != account]
    if settings.homes:
        users.append(account.name)
    if models := [entry.id for entry in manifest_now().entries if entry.kind == "model"]:
        remark(f"{', '.join(models)} stay: files of models; delete them by hand, if nobody wants them")
    fail(mounted_below([each for each in users if each in made]))
    nothing_handed_over(name="no stand-in of the gateway is left to start it again")
    sshd_as_before(name="sshd is as it was, and logins are proven", proof=proof)
    for each in dict.fromkeys((*others, *earlier, account)):
        docker_storage_gone(
            name=f"{each.name} has no storage of rootless Docker but what holds a person's",
            account=each.name,
            home=each.home,
            whole=each.name in users and each.name in made,
        )
    placed = ("unit", "image", "link", "file", "line", "choice", "aside", "key", "tool")
    taken_away(name="units are stopped, and files are gone or as they were", kinds=placed)
    taken_away(name="the kernel's settings are as they were", kinds=("sysctl",))
    taken_away(name="containers that were set aside run again", kinds=("container",))
    taken_away(name="directories that are empty are gone", kinds=("directory",))
    taken_away(name="packages that Signalbox installed are gone", kinds=("package",))
    taken_away(name="packages that gave way to them are there again", kinds=("replaced",))
    taken_away(name="what ran before Signalbox runs again", kinds=("stopped",))
    taken_away(name="homes are open to whom they were", kinds=("mode",))
    taken_away(name="nobody lingers because of Signalbox", kinds=("linger", "subids"))
    taken_away(name="users have their login shells again", kinds=("shell",))
    taken_away(name="accounts have expired that had", kinds=("expiry",))
    taken_away(name=f"users are gone with their homes: {', '.join(users) or 'none'}", kinds=("user",), users=users)
    state_gone(name="what Signalbox knew of the host is gone, but for what could not be given back")

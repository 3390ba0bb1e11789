"""SSH: sshd's drop-in. A change is proven by fresh logins, or the host takes it back."""

from __future__ import annotations

from pyinfra import host

from signalbox.desired.render import render
from signalbox.desired.sshd import DIRECTORY, DROP_IN, directives
from signalbox.engine.deploy import deploy
from signalbox.engine.outcome import fail
from signalbox.facts.reach import Session, Sshd
from signalbox.operations import controllers_known, directories, packages, sshd_configuration
from signalbox.operations.controllers import spared
from signalbox.operations.guarded import Proof
from signalbox.settings.sections.ssh import Ssh


@deploy("SSH")
def ssh(settings: Ssh, user: str, proof: Proof) -> None:
    """Configure sshd. `user`: who the deploy logs in as; `proof`: who else must still get in."""
    if not settings.enabled:
        return
    controller = host.get_fact(Session, _sudo=False).controller
    untested = [
        each for each in host.get_fact(Sshd, user=user, address=controller).changed if each not in (DIRECTORY, DROP_IN)
    ]
    if untested:
        # Reloading would put them in effect, and only what is ours can be taken back.
        fail(
            [
                f"sshd has not read {', '.join(untested)} yet, which Signalbox did not place; "
                "try it yourself (`systemctl reload ssh`, then log in anew), and deploy again"
            ]
        )
        return
    unpunished, controllers = spared(settings.unpunished)

    def content(keys_only: bool) -> tuple[str, dict[str, str]]:
        values = directives(settings, keys_only, unpunished)
        return render("ssh/00-signalbox.conf", values=values, extra=settings.extra), values

    controllers_known(name="it is known where deploys come from", controllers=controllers)
    packages(name="sshd is installed", wanted=["openssh-server"])
    directories(name="the directory of drop-ins exists", paths=[DIRECTORY])
    sshd_configuration(
        name="sshd is configured as the settings say, and logins are proven",
        path=DROP_IN,
        content=content,
        proof=proof,
        address=controller,
        password_login=settings.password_login,
        password_users=list(settings.password_users),
    )

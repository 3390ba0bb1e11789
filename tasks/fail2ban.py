"""fail2ban: who fails to log in too often is banned for a while, by way of nftables; our own networks never are."""

from __future__ import annotations

from signalbox.desired.firewall import CONTROLLER, NFTABLES
from signalbox.desired.packages import FAIL2BAN
from signalbox.desired.render import render
from signalbox.engine.deploy import deploy
from signalbox.facts.in_effect import SshdJail
from signalbox.operations import controllers_known, directories, file, in_effect, packages, unit
from signalbox.operations.controllers import spared
from signalbox.operations.files import sha256
from signalbox.settings.sections.fail2ban import Fail2ban
from signalbox.shell import sh

JAIL = "/etc/fail2ban/jail.d/signalbox.local"
ACTION = "/etc/fail2ban/action.d/signalbox-nftables.conf"  # Debian's own is other jails' too
DIRECTORY = "/etc/systemd/system/fail2ban.service.d"
DROP_IN = f"{DIRECTORY}/50-signalbox.conf"
# Started is not answering: a jail of a person's that cannot start ends them all a moment later.
ANSWERS = sh("fail2ban-client status sshd")


@deploy("fail2ban")
def fail2ban(settings: Fail2ban, ports: tuple[int, ...]) -> None:
    """Ban by the journal's word. `ports`: of sshd."""
    if not settings.enabled:
        return
    # Where deploys come from is never banned, whatever the settings say: its owner would need the console.
    named, controllers = spared([*settings.ignored, CONTROLLER])
    ignored = ["127.0.0.0/8", "::1", *named]
    contents = {
        JAIL: render("fail2ban/signalbox.local", settings=settings, ignored=ignored, ports=ports),
        ACTION: render(
            "fail2ban/signalbox-nftables.conf",
            four=[n for n in ignored if ":" not in n],
            six=[n for n in ignored if ":" in n],
        ),
        DROP_IN: render("fail2ban/50-signalbox.conf", inputs=(JAIL, ACTION, DROP_IN)),
    }
    controllers_known(name="it is known where deploys come from", controllers=controllers)
    # Before the package, which starts it: it never runs with other limits.
    directories(
        name="fail2ban has its directories",
        paths=["/etc/fail2ban", "/etc/fail2ban/jail.d", "/etc/fail2ban/action.d", DIRECTORY, NFTABLES],
    )
    file(name="fail2ban's limits are as the settings say", path=JAIL, content=contents[JAIL])
    file(name="fail2ban's bans do not hold for our own networks", path=ACTION, content=contents[ACTION])
    file(name="fail2ban has its sandbox", path=DROP_IN, content=contents[DROP_IN])
    file(
        name="bans come back when Debian's firewall has flushed them",
        path=f"{NFTABLES}/50-signalbox-fail2ban.conf",
        content=render("fail2ban/50-signalbox-fail2ban.conf"),
    )
    packages(name="fail2ban is installed", wanted=FAIL2BAN)
    unit(name="Debian's firewall is known with that", unit="nftables.service", running=False, at_boot=False)
    unit(
        name="fail2ban is enabled and runs what is on disk",
        unit="fail2ban.service",
        inputs={path: sha256(content) for path, content in contents.items()},
        answers=ANSWERS,
    )
    # A file of another's that is read after ours; it is not ours to change.
    in_effect(
        name="fail2ban's limits for sshd are in effect",
        what="fail2ban",
        ours=JAIL,
        wanted={
            "enabled": "true",
            "maxretry": str(settings.max_failures),
            "findtime": str(settings.find_seconds),
            "bantime": str(settings.ban_seconds),
        },
        fact=SshdJail,
        after=JAIL,
    )

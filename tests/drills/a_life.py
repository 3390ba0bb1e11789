"""A host with a life before us, and what of it is a person's; each thing is asked from outside, as root."""

from __future__ import annotations

from pathlib import Path

from tests.drills.stage import Stage, lab_host
from tests.lab import hosts

LIVED = lab_host("lived")
SETUP = Path(__file__).parents[1] / "lab" / "lived_in" / "setup.sh"
THEIRS = ("docker-ce", "docker-ce-cli", "containerd.io")
GIVEN_UP = {"replaces": list(THEIRS)}
# Of the person's, by what they are.
LIFE = {
    "dotfiles": "cd /home/claude && readlink .bashrc .profile; sha256sum dotfiles/*",
    "keys": "sha256sum < /home/claude/.ssh/authorized_keys",
    "mounted": "cd /srv/share && find . -type f -exec sha256sum {} +",
    "login shell": "getent passwd claude | cut -d: -f7",
    "apt.conf": "sha256sum < /etc/apt/apt.conf.d/20auto-upgrades",
    "clock": "dpkg-query -W -f '${Package} ${db:Status-Status}\\n' chrony; sha256sum < /etc/chrony/chrony.conf",
    "root's Docker": "cd /var/lib/docker && find . -type f -exec sha256sum {} +",
    "packages": f"dpkg-query -W -f '${{Package}} ${{Version}} ${{db:Status-Status}}\\n' {' '.join(THEIRS)}",
    "crontab": "crontab -l -u claude 2>/dev/null || cat /var/spool/cron/crontabs/claude 2>/dev/null || echo none",
    "mise": "cd /home/claude && sha256sum .config/mise/config.toml",
}
# As long as Signalbox is there: its lines stand in the shell files, its key beside theirs, its shell in place of it.
MEANWHILE = ("mounted", "apt.conf", "clock", "root's Docker", "crontab", "mise")
# Of what is written into, all but what is ours.
WITHIN = {
    "dotfiles but for our line": "cd /home/claude && readlink .bashrc .profile"
    "; for f in dotfiles/*; do grep -v signalbox $f | sha256sum; done",
    "their key": "grep mine$ /home/claude/.ssh/authorized_keys",
}


def life() -> dict[str, str]:
    """Return what is the person's on the host, by what it is."""
    return _asked(LIFE)


def within() -> dict[str, str]:
    """Return what is the person's and stays as it is while Signalbox is there, or half of it."""
    return _asked({**{what: LIFE[what] for what in MEANWHILE}, **WITHIN})


def _asked(commands: dict[str, str]) -> dict[str, str]:
    return {what: hosts.run(LIVED, command, check=False).stdout for what, command in commands.items()}


def same(before: dict[str, str], now: dict[str, str]) -> None:
    """AssertionError, with their names, when things of the person's are other than before."""
    other = {what: (before[what], now[what]) for what in before if now[what] != before[what]}
    assert not other, f"other than before: {other}"


def lived(stage: Stage) -> dict[str, str]:
    """Have a host with a life before us; return what is the person's."""
    stage.bare(LIVED)
    hosts.run(LIVED, "cat > /root/setup.sh", stdin=SETUP.read_text())
    hosts.run(LIVED, "sh /root/setup.sh", timeout=600)
    return life()

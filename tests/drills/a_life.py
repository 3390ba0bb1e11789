"""A host with a life before us, and what of it is a person's: their files are compared, and their services asked.

All of it from outside: as root over ssh, and as anybody on the network.
"""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from tests.drills.stage import Stage, lab_host
from tests.lab import hosts, services
from tests.lab.machine import step, wait_until

BUILT = lab_host("life")  # off: each cell has a copy of it
LIVED = lab_host("lived")
SETUP = Path(__file__).parents[1] / "lab" / "lived_in"
THEIRS = ("docker-ce", "docker-ce-cli", "containerd.io")
OF_USERS = "docker-ce-rootless-extras"
# What a first deploy must be told: who gives way, and whom the firewall lets in.
GIVEN_UP: Mapping[str, Any] = {
    "replaces": [*THEIRS, OF_USERS],
    "rootless_docker": {"replaces_root": True, "daemon": {"storage-driver": "vfs"}},
    "firewall": {"open": {"tcp/80": ["lan"], "tcp/445": ["lan"], "tcp/8090": ["lan"]}},
}
_HOMES = "cd /home && xargs -0 sha256sum < /root/homes"
# What ours is in, or in the place of, as long as Signalbox is there.
_WRITTEN = r"  claude/(dotfiles/.*|\.zshenv|\.ssh/authorized_keys)$"
# Of the person's, by what they are.
LIFE = {
    "dotfiles": "cd /home/claude && readlink .bashrc .profile; sha256sum dotfiles/*"
    "; [ .zshenv -ef dotfiles/zshenv ] && echo one",
    "keys": "sha256sum < /home/claude/.ssh/authorized_keys",
    "mounted": "cd /srv/share && find . -type f -exec sha256sum {} +",
    "login shells": "getent passwd claude litellm guest | cut -d: -f7",
    "expiry": "getent shadow claude litellm guest | cut -d: -f1,8",
    "apt.conf": "sha256sum < /etc/apt/apt.conf.d/20auto-upgrades",
    "clock": "dpkg-query -W -f '${Package} ${db:Status-Status}\\n' chrony; sha256sum < /etc/chrony/chrony.conf",
    "root's volumes": "cd /var/lib/docker/volumes && sha256sum */_data/*",
    "packages": f"dpkg-query -W -f '${{Package}} ${{Version}} ${{db:Status-Status}}\\n' {' '.join(THEIRS)} {OF_USERS}",
    "crontabs": "cd /var/spool/cron/crontabs && sha256sum *; sha256sum /etc/cron.d/own",
    "mise": "cd /home/claude && sha256sum .config/mise/config.toml",
    "homes": _HOMES,
    "homes' modes": "stat -c '%n %a %U' /home/*",
    "Claude Code": "cd /home/claude/.local/bin && readlink claude && ./claude --version",
    "volumes": "cd /home/claude/.local/share/docker/volumes && sha256sum pages/_data/*",
    "configuration": "cd /etc && sha256sum nftables.conf samba/smb.conf fail2ban/jail.d/own.local"
    " docker/daemon.json ssh/sshd_config.d/50-* resolv.conf nginx/nginx.conf postgresql/*/main/*.conf"
    "; sha256sum /var/www/html/* /srv/files/*",
    "lingering": "ls /var/lib/systemd/linger",
}
# As long as Signalbox is there: its lines stand in the shell files, its key beside theirs, its shell in place of it.
MEANWHILE = ("mounted", "apt.conf", "clock", "root's volumes", "crontabs", "mise", "volumes", "configuration")
# Of what is written into, all but what is ours.
WITHIN = {
    "dotfiles but for our line": "cd /home/claude && readlink .bashrc .profile"
    "; [ .zshenv -ef dotfiles/zshenv ] && echo one; for f in dotfiles/*; do grep -v signalbox $f | sha256sum; done",
    "their key": "grep mine$ /home/claude/.ssh/authorized_keys",
    "homes but for what is written into": f"{{ {_HOMES}; }} | grep -vE '{_WRITTEN}'",
}
_LIGHT = ("dotfiles", "keys", "mounted", "apt.conf", "clock", "mise")  # what setup.sh makes
_AS_CLAUDE = "runuser -l claude -c"
_DOCKER = (
    "DOCKER_HOST=unix:///run/user/$(id -u claude)/docker.sock docker ps -a --format '{{.Names}} {{.State}}' | sort"
)
_START = "DOCKER_HOST=unix:///run/user/$(id -u claude)/docker.sock docker start plain"
# What is asked on the host, and what it answers before us, with us and after us.
ASKED = {
    "database": ("runuser -u postgres -- psql -tAc 'select count(*), sum(n) from records'", "1000|500500"),
    "share": ("smbclient -N //127.0.0.1/files -c 'get one -' 2>/dev/null", "their file"),
    "jail": ("fail2ban-client get own banip", "203.0.113.99"),
    "rules": ("nft list chain inet own input | grep -o '9999 drop'; nft list tables | grep own_now",
              "9999 drop\ntable ip own_now"),
    "clock and crontabs": ("systemctl is-active chrony cron", "active\nactive"),
    "nvm, npm -g": (f"{_AS_CLAUDE} 'bash -ic \"command -v node; their-tool\"' 2>/dev/null",
                    "/home/claude/.nvm/versions/node/v{node}/bin/node\ntheir tool"),
    "mise": (f"{_AS_CLAUDE} '.local/bin/mise exec -- node --version' 2>/dev/null", "v20.0.0"),
    "containers": (f'{_AS_CLAUDE} "{_DOCKER}"', "pages running\nplain running\nquiet exited"),
}  # fmt: skip
# What is root's Docker's, which gives way as long as Signalbox is there.
ROOTS = {"root's Docker": ("docker -H unix:///run/docker.sock ps --format '{{.Names}}'", "records")}


def _smb() -> str:
    """Return what answers a client that asks for SMB 2: [MS-SMB2] 3.3.5.3, [MS-CIFS] 2.2.4.52."""
    dialect = b"\x02SMB 2.002\0"
    asked = b"\xffSMB\x72" + bytes(27) + b"\0" + len(dialect).to_bytes(2, "little") + dialect
    with socket.create_connection((hosts.address(LIVED), 445), timeout=5) as connection:
        connection.sendall(len(asked).to_bytes(4, "big") + asked)
        return "SMB 2" if connection.recv(64)[4:8] == b"\xfeSMB" else "nothing known"


def _page(port: int) -> Callable[[], str]:
    def ask() -> str:
        with urllib.request.urlopen(f"http://{hosts.address(LIVED)}:{port}/", timeout=5) as answer:
            return str(answer.read(100).decode()).strip()

    return ask


# What is asked over the network.
OUTSIDE: dict[str, tuple[Callable[[], str], str]] = {
    "web server": (_page(80), "their page"),
    "container's page": (_page(8090), "their container"),
    "share over the network": (_smb, "SMB 2"),
    "guest": (lambda: hosts.run(LIVED, "true", user="guest", check=False).stdout.strip(), "their file"),
}
WAIT_SECONDS = 60  # an engine that was begun anew begins its containers


def life() -> dict[str, str]:
    """Return what is the person's on the host, by what it is."""
    return _told(LIFE)


def light() -> dict[str, str]:
    """Return what `setup.sh` has made of it alone."""
    return _told({what: LIFE[what] for what in _LIGHT})


def within() -> dict[str, str]:
    """Return what is the person's and stays as it is while Signalbox is there, or half of it."""
    return _told({**{what: LIFE[what] for what in MEANWHILE}, **WITHIN})


def _told(commands: dict[str, str]) -> dict[str, str]:
    return {what: hosts.run(LIVED, command, check=False).stdout for what, command in commands.items()}


def same(before: dict[str, str], now: dict[str, str]) -> None:
    """AssertionError, with their names, when things of the person's are other than before."""
    other = {what: _lines(before[what], now[what]) for what in before if now[what] != before[what]}
    assert not other, f"other than before: {other}"


def _lines(before: str, now: str) -> tuple[list[str], list[str]]:
    """Return the lines that only the one has, and those that only the other has."""
    was, is_now = before.splitlines(), now.splitlines()
    return [line for line in was if line not in is_now], [line for line in is_now if line not in was]


def served(*, roots: bool = False, but: Collection[str] = ()) -> list[str]:
    """Return what of the person's answers as before us; AssertionError with each that does not.

    roots: root's Docker too. but: all but these.
    """
    asked = {**ASKED, **(ROOTS if roots else {})}
    node = _versions()[1]
    ways = {what: (_on_host(command), wanted.replace("{node}", node)) for what, (command, wanted) in asked.items()}
    ways |= OUTSIDE
    for what, (ask, wanted) in ((what, way) for what, way in ways.items() if what not in but):
        seen: list[str] = []

        def answers(ask: Callable[[], str] = ask, wanted: str = wanted, seen: list[str] = seen) -> bool:
            try:
                seen.append(ask())
            except OSError as error:
                seen.append(str(error))
            return seen[-1] == wanted

        assert wait_until(answers, WAIT_SECONDS, 1), f"{what} does not answer as before: {seen[-1]!r}, not {wanted!r}"
    return [what for what in ways if what not in but]


def _on_host(command: str) -> Callable[[], str]:
    return lambda: hosts.run(LIVED, command, check=False).stdout.strip()


def lived(stage: Stage) -> dict[str, str]:
    """Have a host with a life before us; return what is the person's."""
    stage.discard(LIVED)
    if not hosts.exists(BUILT):
        stage.bare(BUILT)
        with step("a person lives on it"):
            _run(BUILT, "setup.sh")
            _run(BUILT, "services.sh", *_versions())
        hosts.poweroff(BUILT)
    hosts.clone(BUILT, [LIVED])
    stage.up(LIVED)
    hosts.run(LIVED, f'until {_AS_CLAUDE} "{_START}"; do sleep 1; done', timeout=120)  # it has no restart policy
    typed()
    served(roots=True)
    return life()


def typed() -> None:
    """Have rules that somebody has typed, and that are nowhere on disk."""
    hosts.run(LIVED, "nft add table ip own_now")


def lived_lightly(stage: Stage) -> dict[str, str]:
    """Have a host with packages and files of a person's, and no services; return what is the person's."""
    stage.bare(LIVED)
    _run(LIVED, "setup.sh")
    return light()


def _versions() -> tuple[str, str, str, str]:
    """Return where the lab has Node, and which, and where mise, and which."""
    settings = services.lab_settings()
    mirrors, pins = settings["mirrors"], settings["pins"]
    return mirrors["node"], pins["node"]["version"], mirrors["mise"], pins["mise"]["version"]


def _run(host: str, script: str, *words: str) -> None:
    hosts.run(host, "cat > /root/setup.sh", stdin=(SETUP / script).read_text())
    hosts.run(host, ["sh", "/root/setup.sh", *words], timeout=900)

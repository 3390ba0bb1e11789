"""Sixty changes of a converged host, drawn by a seed: the plan names those that an operation promises, and no other."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from signalbox.settings.layers import defaults
from tests.drills import looks
from tests.drills.deployment import Site
from tests.drills.differences import Tampering, tamperings
from tests.drills.drift import exactly
from tests.drills.drill import Figures, must_fail
from tests.drills.inspection import Difference
from tests.drills.stage import Stage

SEED = 21
# How many of each kind; the last are those that nobody has promised anything of.
DRAWN = {"content": 8, "mode": 8, "owner": 8, "drop-in": 4, "sorts later": 10, "masked": 3, "stopped": 3, "at boot": 4}
OTHERS = 12


@dataclass(frozen=True)
class Change:
    """One change.

    of: what it is of; nothing is changed twice. named: what a line of the plan holds for it; "": none does. undo:
    sh; "": a deploy heals it.
    """

    of: str
    do: str
    named: str = ""
    undo: str = ""


def _file(path: str, text: str, named: str = "", then: str = "true") -> Change:
    directory = path.rpartition("/")[0]
    put = f"mkdir -p {directory} && printf '{text}\\n' > {path} && {then}"
    return Change(path, put, named, f"rm -f {path} && {{ rmdir {directory} 2>/dev/null || true; }} && {then}")


RELOAD = "systemctl daemon-reload"
SYSTEM = ("signalbox-firewall.service", "signalbox-guard.service")
USERS = (("litellm", "litellm.service"), ("litellm", "docker.service"), ("claude", "docker.service"))
_TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer")
_APT = ("Update-Package-Lists", "Unattended-Upgrade", "Enable")
_JAIL = ("maxretry", "findtime", "bantime")


def _user(user: str) -> str:
    return f"systemctl --user --machine={user}@.host"


def _drop_ins() -> Iterator[Change]:
    for unit in SYSTEM:
        path = f"/etc/systemd/system/{unit}.d/their.conf"
        yield _file(path, "[Unit]\\nDescription=theirs", f"{unit}, changed by {path}", RELOAD)
    for user, unit in USERS:
        path = f"/home/{user}/.config/systemd/user/{unit}.d/their.conf"
        yield _file(path, "[Service]\\nNice=5", f"{unit} of {user}, changed by {path}", f"{_user(user)} daemon-reload")


def _later() -> Iterator[Change]:
    for key, value in defaults()["hardening"]["sysctl"].items():
        named = f"the kernel's settings at boot, {key}"
        yield _file(f"/etc/sysctl.d/99-{key}.conf", f"{key} = {0 if str(value) != '0' else 1}", named)
    for key in _APT:
        path = f"/etc/apt/apt.conf.d/99-{key}"
        yield _file(path, f'APT::Periodic::{key} "0";', f"unattended upgrades, {key}")
    for key in _JAIL:
        yield _file(f"/etc/fail2ban/jail.d/zz-{key}.local", f"[sshd]\\n{key} = 77", f"fail2ban, {key}")
    yield _file("/etc/ssh/sshd_config.d/50-their.conf", "Match User claude\\n PasswordAuthentication yes",
                "sshd: a Match block lets claude in by password", "systemctl reload ssh && sleep 1")  # fmt: skip


def _masked() -> Iterator[Change]:
    for unit in _TIMERS:
        yield Change(unit, f"systemctl mask -q {unit}", f"unattended upgrades, {unit}", f"systemctl unmask -q {unit}")
    unit = "fail2ban.service"
    yield Change(unit, f"systemctl mask -q {unit}", f"{unit}, at boot", f"systemctl unmask -q {unit}")


def _stopped() -> Iterator[Change]:
    yield Change("fail2ban.service", "systemctl stop fail2ban", "fail2ban.service: not running")
    for user, unit in (("litellm", "litellm.service"), ("claude", "docker.service"), ("claude", "claude-doctor.timer")):
        yield Change(f"{unit} of {user}", f"{_user(user)} stop {unit}", f"{unit} of {user}: not running")


def _at_boot() -> Iterator[Change]:
    for unit in (*SYSTEM, "fail2ban.service"):
        yield Change(unit, f"systemctl disable -q {unit}", f"{unit}, at boot")
    for user, unit in (*USERS, ("claude", "claude-doctor.timer")):
        yield Change(f"{unit} of {user}", f"{_user(user)} disable -q {unit}", f"{unit} of {user}, at boot")
    for user in ("claude", "litellm"):
        undo = f"usermod --expiredate '' {user}"
        yield Change(user, f"usermod --expiredate 2001-01-01 {user}", f"user {user}, account", undo)


def _placed(kind: str) -> list[Change]:
    """Return this kind of change for each file that is placed, but for keys, which are compared by what they hold."""
    told = looks.answer("cat /var/lib/signalbox/manifest/file-*", user="root")
    paths = [entry["id"] for entry in map(json.loads, told.splitlines()) if not entry["id"].endswith(".cred")]
    states = looks.answer(f"stat -c '%n %F %a %U:%G' {' '.join(paths)}", user="root")
    found = []
    for line in states.splitlines():
        path, rest = line.split(" ", 1)
        *words, mode, owner = rest.split()
        now = Difference("file", path, None, f"{'file' if 'regular' in words else words[0]} {mode} {owner} 0")
        batch = {"content": "edited", "mode": "modes", "owner": "owners"}[kind]
        found += [Change(path, each.script, each.named) for each in tamperings(now) if each.batch == batch]
    return found


POOLS: Mapping[str, Callable[[], Sequence[Change]]] = {
    **{kind: lambda kind=kind: _placed(kind) for kind in ("content", "mode", "owner")},  # type: ignore[misc]
    "drop-in": lambda: list(_drop_ins()),
    "sorts later": lambda: list(_later()),
    "masked": lambda: list(_masked()),
    "stopped": lambda: list(_stopped()),
    "at boot": lambda: list(_at_boot()),
}


def _others() -> list[Change]:
    """Return what people do on such a host, and no operation has a word of."""
    home, keys = "/home/claude", "/home/claude/.ssh/authorized_keys"
    idle = ("man-db.timer", "fstrim.timer", "e2scrub_all.timer", "dpkg-db-backup.timer")
    return [
        _file("/etc/sysctl.d/99-their.conf", "vm.swappiness = 10"),
        _file("/etc/apt/apt.conf.d/99-their", 'APT::Keep-Downloaded-Packages "true";'),
        _file("/etc/fail2ban/jail.d/zz-their.local", "[recidive]\\nbantime = 5"),
        _file("/etc/systemd/system/ssh.service.d/their.conf", "[Service]\\nNice=1", then=RELOAD),
        _file("/etc/ssh/sshd_config.d/60-their.conf", "Banner none", then="systemctl reload ssh && sleep 1"),
        _file(f"{home}/.config/systemd/user/claude-task@.service.d/their.conf", "[Service]\\nNice=1",
              then=f"{_user('claude')} daemon-reload"),
        _file(f"{home}/.config/environment.d/99-their.conf", "THEIRS=1"),
        _file("/etc/cron.d/their", "0 4 * * * root true"),
        _file("/etc/sudoers.d/their", "nobody ALL=(ALL) /bin/true"),
        _file("/etc/systemd/system/their.service", "[Service]\\nExecStart=/bin/true", then=RELOAD),
        Change(f"{home}/.bashrc", f"echo 'alias their=true' >> {home}/.bashrc", "", f"sed -i '$d' {home}/.bashrc"),
        Change("keys", f"echo 'restrict ssh-ed25519 AAAA their' >> {keys}", "", f"sed -i '/ their$/d' {keys}"),
        Change("their user", "useradd their", "", "userdel their"),
        Change("hosts", "echo '192.0.2.1 their' >> /etc/hosts", "", "sed -i '/ their$/d' /etc/hosts"),
        *(Change(unit, f"systemctl mask -q {unit}", "", f"systemctl unmask -q {unit}") for unit in idle[:2]),
        *(Change(unit, f"systemctl stop {unit}", "", f"systemctl start {unit}") for unit in idle[2:]),
    ]  # fmt: skip


def drawn(seed: int) -> tuple[dict[str, list[Change]], list[Change]]:
    """Return the changes that the plan must name, by kind, and those that it must not."""
    choice, taken = random.Random(seed), set[str]()  # noqa: S311 (it draws what is tried)
    found: dict[str, list[Change]] = {}
    # The scarcest first: each thing is changed in one way.
    for kind, pool in sorted(((kind, POOLS[kind]()) for kind in DRAWN), key=lambda each: len(each[1])):
        free = [each for each in pool if each.of not in taken and each.of.split(" of ")[0] not in taken]
        found[kind] = choice.sample(free, DRAWN[kind])
        taken |= {each.of for each in found[kind]}
    return found, choice.sample(_others(), OTHERS)


def generated(stage: Stage) -> Figures:
    """Of sixty generated changes the plan names those of which an operation's name is untrue now, and no other."""
    site = stage.converged()
    found, others = drawn(SEED)
    named = [each for kind in DRAWN for each in found[kind]]
    # Nobody asks the manager of a user whose account is expired: these last.
    changes = sorted((*named, *others), key=lambda each: each.do.startswith("usermod"))
    control = must_fail(lambda: _exactly(named, _lines(site)), "nothing changed")
    try:
        for each in changes:
            looks.answer(each.do, user="root")
        lines = _lines(site)
        _exactly(named, lines)
    finally:
        for each in reversed(changes):
            looks.answer(each.undo or "true", user="root")
        site.deploy()
    left = _lines(site)
    assert not left, f"not healed: {left}"
    kinds = ", ".join(f"{len(found[kind])} {kind}" for kind in DRAWN)
    return {"seed": SEED, "named": f"{len(named)}: {kinds}", "not named": f"{len(others)} of people's own",
            "beside": "nothing", "control": control}  # fmt: skip


def _lines(site: Site) -> list[str]:
    run = site.signalbox("plan", "--json")
    (report,) = json.loads(run.stdout)["hosts"]
    assert report["verdict"] != "unknown", report["problems"]
    return [line for change in report["changes"] for line in (change["differences"] or [change["operation"]])]


def _exactly(named: Sequence[Change], lines: Sequence[str]) -> None:
    done = [Tampering("generated", f"file {each.of}", each.do, each.do, each.named) for each in named]
    exactly("generated", done, lines)

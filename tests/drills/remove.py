"""Signalbox taken away: what is left of it, compared thing by thing with a host that never saw it."""

from __future__ import annotations

import re

from tests.drills import adopt, looks
from tests.drills.adopt import DOCKER, HAND
from tests.drills.deployment import Running
from tests.drills.drift import MOVING
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.init import person_at
from tests.drills.inspection import Difference, inspect
from tests.drills.stage import HOST, Stage, lab_host

drill = Drill(
    "remove",
    "what is left is nothing but logs and package caches",
    "deploy, remove, and a comparison of all files, modes, owners, packages, users, groups, units, sysctls and rules "
    "with a host that never saw Signalbox: what is left is listed in docs/fleet.md, logs and package caches alone.",
)

GONE, TWIN = lab_host("gone"), lab_host("twin")
ASKED = "Do this? [Y/n]:"
MINE = "/usr/local/bin/claude-local"  # a person's own program under the name of a launcher
# Two hosts are never the same in these.
IDENTITY = re.compile(
    r"file /etc/(hostname|hosts|machine-id|ssh/ssh_host_.*|network/interfaces\.d/host0)"
    r"|file /var/lib/(systemd/(credential\.secret|random-seed|timers/.*)|dbus/machine-id)"
    r"|file /root/\.ssh/authorized_keys"
)
# What docs/fleet.md says is left: a reason, and the things.
LEFT = {
    "logs": r"file /var/log(/.*)?",
    "package caches": r"file /var/(cache|lib/apt|backups)(/.*)?",
    "copies that Debian's tools make of their own files": r"file /etc/((passwd|group|shadow|gshadow|subuid|subgid)-)"
    r"|file /var/lib/dpkg/(status|diversions|statoverride)-old|file /var/lib/ucf/(hashfile|registry)\.\d",
    "ucf's list of who owns which file in /etc": r"file /var/lib/ucf/registry",
}


def _left(host: str) -> list[Difference]:
    """Return what tells `host` from one that never saw Signalbox, logs and caches aside."""
    found = inspect(host).since(inspect(TWIN))
    allowed = [IDENTITY, *(re.compile(pattern) for pattern in LEFT.values())]
    return [each for each in found if not any(rule.fullmatch(f"{each.kind} {each.name}") for rule in allowed)]


def _nothing_left(host: str, *but: str) -> int:
    """AssertionError when something is left, `but` those things aside. Returns how many things were compared."""
    left = [
        str(each) for each in _left(host) if not any(re.fullmatch(rule, f"{each.kind} {each.name}") for rule in but)
    ]
    assert not left, f"{len(left)} left:\n" + "\n".join(left[:200])
    return sum(len(things) for things in inspect(host).things.values())


@drill.cell("asks", fixed=True)
def asks(stage: Stage) -> Figures:
    """It tells what would go, and without a yes nothing goes."""
    site = stage.converged()
    looks.mark()
    run = site.remove("--dry").ok()
    planned = run.planned(HOST)
    assert len(planned) >= 5, planned
    # As a person starts it: with --json pyinfra asks nothing, and does nothing without -y. Nobody answers.
    unanswered = Running(site.inventory(), ["--limit", HOST], site.environment, "remove.py").wait()
    assert unanswered.status == 1, unanswered

    def asked(told: str) -> None:
        assert ASKED in told, told[-1500:]

    asked(unanswered.stderr)
    written = looks.written()
    assert not written, written
    looks.user_units()
    control = must_fail(lambda: asked(run.stderr), "--dry, which asks nothing")
    return {"told": "; ".join(name.split(" | ")[1] for name in planned), "asked": ASKED,
            "unanswered": f"status {unanswered.status}, files written: 0", "control": control}  # fmt: skip


@drill.cell("whole")
def whole(stage: Stage) -> Figures:
    """With remove.homes nothing is left of a whole deploy but logs and package caches; what was replaced is back."""
    stage.bare(GONE, TWIN)
    looks.answer(
        "echo mine > /usr/local/bin/claude-local; chmod 700 /usr/local/bin/claude-local", host=GONE, user="root"
    )
    mine = inspect(GONE).of("file")["/usr/local/bin/claude-local"]
    site = stage.site(GONE)
    site.deploy().ok()
    control = must_fail(lambda: _nothing_left(GONE), "Signalbox on it")
    run = site.remove("-y", "--data", "remove.homes=true").ok()
    assert inspect(GONE).of("file")[MINE] == mine
    looks.answer(f"rm {MINE}", host=GONE, user="root")
    compared = _nothing_left(GONE)
    again = site.remove("-y", "--data", "remove.homes=true").ok().changed(GONE)
    assert not again, again
    return {"things compared": compared, "removed in": f"{run.seconds:.0f} s", "second run": "no change",
            "replaced file": "back", "control": control}  # fmt: skip


@drill.cell("keeps-homes")
def keeps_homes(stage: Stage) -> Figures:
    """By default sessions and projects stay, with the service user whose they are; nothing else does."""
    stage.bare(GONE, TWIN)
    site = stage.site(GONE)
    site.deploy().ok()
    words = "mkdir -p ~/project ~/.claude-local/projects/x && echo work > ~/project/file"
    looks.answer(f"{words} && echo said > ~/.claude-local/projects/x/1.jsonl", host=GONE)
    site.remove().ok()
    files = "~claude/project/file ~claude/.claude-local/projects/x/1.jsonl"
    kept = looks.answer(f"cat {files}", host=GONE, user="root")  # the key that let claude in is gone
    assert kept.split() == ["work", "said"], kept
    home = [each.name for each in _left(GONE) if each.name.startswith("/home/claude/")]
    compared = _nothing_left(GONE, r"file /home/claude(/.*)?", r"file /etc/(passwd|group|shadow|gshadow|sub[ug]id)",
                             "(user|group) claude")  # fmt: skip
    ours = [name for name in home if "signalbox" in name]
    assert not ours, ours
    site.deploy().ok()
    assert not site.deploy().ok().changed(GONE)
    stage.discard(GONE, TWIN)
    return {"kept": f"{len(home)} things of the home", "things compared": compared, "deploys again": "yes"}


# Of a host that was set up by hand and given back: what a user's programs keep, and the functions that were taken out.
OWN = r"file /home/claude/(\.bashrc(\..*)?|\.(cache|local|npm|config/systemd/user/default\.target\.wants)(/.*)?)"
# The host made by hand has a certificate under two names; update-ca-certificates, which a deploy runs, links either.
HASHED = r"file /etc/ssl/certs/[0-9a-f]{8}\.\d"
_STATE = "{{.State.Running}} {{.HostConfig.RestartPolicy.Name}}"
SAME = {
    "container": f"{DOCKER} docker inspect --format '{_STATE}' litellm",
    "docker.service": "for word in is-active is-enabled cat; do systemctl --user $word docker; done",
    "home": "stat -c '%a %U' .; stat -c '%a %U' .config/claude-secrets.env; cat .config/claude-secrets.env",
}


@drill.cell("adopted")
def adopted(stage: Stage) -> Figures:
    """A host that was set up by hand, taken over and given back: keys, container, units and homes are as they were."""
    adopt.by_hand(stage, "anthropic")
    before, same = inspect(HAND), _same()
    with person_at(key=True) as (project, home):
        adopt.adopt(project, home, HAND, "--json")
        adopt.pyinfra(project, home, "deploy.py")
        control = must_fail(lambda: _as_before(same), "Signalbox on it")
        looks.answer("echo '# mine' >> /etc/signalbox/lanes.json", host=HAND, user="root")
        told = adopt.pyinfra(project, home, "remove.py")
    (kept,) = looks.answer("ls /var/lib/signalbox/originals", host=HAND, user="root").split()
    assert f"/var/lib/signalbox/originals/{kept}" in told, told[-3000:]
    _as_before(same)
    looks.answer(looks.GATEWAY, host=HAND)
    allowed = [
        re.compile(rule) for rule in (OWN, HASHED, r"file /var/lib/signalbox(/.*)?", MOVING.pattern, *LEFT.values())
    ]
    found = [each for each in inspect(HAND).since(before) if each.kind != "container"]
    left = [str(each) for each in found if not any(rule.fullmatch(f"{each.kind} {each.name}") for rule in allowed)]
    assert not left, f"{len(left)} are other than before:\n" + "\n".join(left[:200])
    stage.discard(HAND)
    return {"as before": ", ".join(same), "the gateway made by hand": "answers", "written into, so kept": kept,
            "things compared": sum(map(len, before.things.values())), "control": control}  # fmt: skip


def _same() -> dict[str, str]:
    return {name: looks.answer(command, host=HAND) for name, command in SAME.items()}


def _as_before(same: dict[str, str]) -> None:
    now = _same()
    assert now == same, [name for name in same if now[name] != same[name]]

"""Every section off and on, changed, and users renamed, on a host that people use; each change was planned before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from signalbox.settings.layers import merge
from tests.drills import looks
from tests.drills.a_life import GIVEN_UP, LIVED, life, lived, same, served, within
from tests.drills.drill import Figures, must_fail
from tests.drills.inspection import inspect
from tests.drills.lived_in_killed import as_before
from tests.drills.stage import Stage
from tests.lab import hosts, services
from tests.lab.mirror import claude_code
from tests.lab.mirror.clients import npm_view

# What stands on another section is off with it.
OFF = (
    ("guard", "firewall", "ssh", "fail2ban"),
    ("preflight", "base", "hardening", "by_hand", "doctor"),
    ("toolchain", "launchers", "lock", "leftovers"),
    ("rootless_docker", "gateway", "secrets"),
    ("service_user",),
)
CHANGED: Mapping[str, Any] = {
    "preflight": {"min_disk_mib": 1024},
    "base": {"timezone": "Europe/Berlin", "packages": ["curl", "git", "tree"]},
    "service_user": {"sudo": "nopasswd", "shell": "/bin/sh"},
    "guard": {"login_seconds": 9},
    "firewall": {"open": {"tcp/8080": ["lan"], "ip/112": ["lan"]}},
    "ssh": {"max_auth_tries": 5},
    "fail2ban": {"ban_seconds": 1234},
    "hardening": {"reboot_at": "04:30", "banner": "Theirs."},
    "rootless_docker": {"daemon": {"max-concurrent-downloads": 2}},
    "gateway": {"request_timeout_seconds": 601},
    "launchers": {"task_timeout_seconds": 1800},
    "doctor": {"every_minutes": 7},
    "lock": {"reason": "a drill"},
}
RENAMED = {"gateway": {"user": "keeper"}, "service_user": {"name": "agent"}}
# Docker goes with the name: the user's own comes back, and its programs with remove.py.
AWAY = "running → stopped until containerd.io, docker-ce, docker-ce-cli, docker-ce-rootless-extras can be there again"
STOPS = {"containers": f"container plain of claude: {AWAY}", "container's page": f"container pages of claude: {AWAY}"}
OLDER = "2.1.328"  # of Claude Code, before the one that the lab pins
SUBIDS = "grep -h ^claude: /etc/subuid /etc/subgid"


def _older() -> dict[str, Any]:
    parts = {part: npm_view(f"{name}@{OLDER}", "dist.integrity") for part, name in claude_code.PARTS.items()}
    return {"pins": {"claude_code": {"version": OLDER, "integrity": parts}}}


def _claude() -> str:
    return looks.answer("bash -lc 'claude --version'", host=LIVED).split()[0]


def sections(stage: Stage) -> Figures:
    """Each section off and on, each changed, upgraded, users renamed: a person's things stay, all changes are planned.

    Each service of the person's is asked each time.
    """
    before, during = lived(stage), within()
    snapshot = inspect(LIVED)
    deploys = 0

    def deployed(settings: Mapping[str, Any], stops: Mapping[str, str] = {}) -> None:
        """Deploy. stops: what does not answer after it, and how the plan names that before it."""
        nonlocal deploys
        site = stage.site(LIVED, settings=merge(GIVEN_UP, settings))
        told = site.signalbox("plan").stdout if stops else ""
        assert not [words for words in stops.values() if words not in " ".join(told.split())], told[-4000:]
        planned = site.plan().ok().planned(LIVED)
        unplanned = set(site.deploy().ok().changed(LIVED)) - set(planned)
        assert not unplanned, f"changed, and not planned: {unplanned}"
        same(during, within())
        served(but=stops)
        deploys += 1

    deployed({})
    ids = looks.answer(SUBIDS, host=LIVED, user="root")
    # Somebody has other ids in mind: what lies in the user's containers belongs to the first ones.
    looks.answer("sed -i 's/^claude:[0-9]*:/claude:900000:/' /etc/subuid /etc/subgid", host=LIVED, user="root")
    for names in OFF:
        deployed({name: {"enabled": False} for name in names})
    assert looks.answer(f"{SUBIDS} | grep -v :900000:", host=LIVED, user="root") == ids
    looks.answer("sed -i /^claude:900000:/d /etc/subuid /etc/subgid", host=LIVED, user="root")
    deployed(merge(CHANGED, _older()))
    versions = [_claude()]
    deployed(CHANGED)
    versions.append(_claude())
    deployed(merge(CHANGED, _older()))
    versions.append(_claude())
    newer = services.lab_settings()["pins"]["claude_code"]["version"]
    assert versions == [OLDER, newer, OLDER], versions
    deployed(merge(CHANGED, RENAMED), STOPS)
    control = must_fail(lambda: as_before(snapshot, ""), "Signalbox on it")
    site = stage.site(LIVED, settings=merge(GIVEN_UP, merge(CHANGED, RENAMED)))
    # What somebody has mounted below a home that shall go stands in the way before anything is changed.
    looks.answer("mkdir /home/agent/share && mount --bind /srv/share /home/agent/share", host=LIVED, user="root")
    looks.mark(host=LIVED)
    stopped = site.remove("-y", "--data", "remove.homes=true")
    assert stopped.status == 1, stopped.stderr[-2000:]
    assert "/home/agent/share: something else is mounted there" in stopped.stderr, stopped.stderr[-2000:]
    written = looks.written(host=LIVED)
    assert not written, written
    looks.answer("umount /home/agent/share", host=LIVED, user="root")
    gone = site.remove("-y", "--data", "remove.homes=true").ok()
    same(before, life())
    answered = served(roots=True)
    compared = as_before(snapshot, gone.stderr)
    left = hosts.run(LIVED, "getent passwd agent keeper; ls /home", check=False).stdout.split()
    assert left == ["claude", "guest", "litellm"], left  # whose they were before
    stage.discard(LIVED)
    return {
        "sections off and on": ", ".join(name for names in OFF for name in names),
        "changed": ", ".join(CHANGED),
        "upgraded and back": " → ".join(versions),
        "renamed": "gateway.user, service_user.name",
        "deploys": deploys,
        "changed unplanned": "nothing",
        "asked each time": ", ".join(answered),
        "as before": ", ".join(before),
        "stopped, as planned, until remove.py": ", ".join(STOPS),
        "things compared": compared,
        "control": control,
    }

"""Launchers: one command a lane, the same program behind all, for the service user alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pyinfra.api import deploy

from signalbox import launcher
from signalbox.lanes import PROGRAM
from signalbox.operations import directories, file, files, links, packages
from signalbox.operations.placed import placed_each
from signalbox.render import render
from signalbox.settings import Account
from signalbox.settings.sections import Launchers
from signalbox.statements import want
from signalbox.verdict import warn

BASE = "/usr/local/lib/signalbox"
SKILLS = "/usr/local/share/signalbox/skills"
UNITS = "/etc/systemd/user"
COMPLETIONS = "/usr/local/share/zsh/site-functions"  # where Debian's zsh looks
# Beside those of lanes; claude-switch is more than a link.
COMMANDS = ("claude-logs", "claude-session", "claude-escalate", "claude-dispatch", "claude-usage")
RECORDS = "/etc/signalbox/lanes.json"


@deploy("Launchers")
def launchers(settings: Launchers, records: dict[str, Any], account: Account) -> None:
    """Place the programs, their `records`, a command claude-<lane> for each lane in them, and `account`'s skills."""
    if not settings.enabled:
        return
    directories(name="launchers have their directories", paths=[BASE, PROGRAM.rsplit("/", 1)[0], "/etc/signalbox"])
    modules = sorted(Path(launcher.__file__).parent.glob("*.py"))
    files(
        name="the launchers' programs are in place",
        contents={f"{BASE}/launcher/{module.name}": module.read_text() for module in modules},
        modes={PROGRAM: "755"},
    )
    file(name="the lanes are known", path=RECORDS, content=json.dumps(records, indent=2, sort_keys=True) + "\n")
    commands = [f"claude-{name}" for name in records["lanes"]]
    texts = {
        f"{BASE}/shell.sh": render("launchers/shell.sh", program=PROGRAM, commands=" ".join(commands)),
        "/usr/local/bin/claude-switch": render(
            "launchers/claude-switch", program=PROGRAM, functions=f"{BASE}/shell.sh"
        ),
        f"{COMPLETIONS}/_claude-switch": render("launchers/_claude-switch", program=PROGRAM),
    }
    packages(name="tmux holds lasting sessions", wanted=["tmux"])
    texts |= {
        f"{UNITS}/claude-session@.service": render("launchers/claude-session@.service", program=PROGRAM),
        f"{UNITS}/claude-task@.service": render(
            "launchers/claude-task@.service", program=PROGRAM, seconds=settings.task_timeout_seconds
        ),
    }
    directories(name="zsh's completions have their directory", paths=["/usr/local/share/zsh", COMPLETIONS])
    for path, text in texts.items():
        mode = "755" if path.startswith("/usr/local/bin/") else "644"
        file(name=f"{path.rsplit('/', 1)[1]} is in place", path=path, content=text, mode=mode)
    links(
        name="each lane and each tool has its command",
        targets={f"/usr/local/bin/{command}": PROGRAM for command in [*commands, *COMMANDS]},
    )
    _skills(settings, records["lanes"], account)


def _skills(settings: Launchers, lanes: dict[str, Any], account: Account) -> None:
    """Link each skill into the configuration directory of each lane that may use it, and into plain claude's."""
    handovers = {"cloud-escalator": settings.escalation, "vibe-orchestrator": settings.dispatch}
    skills = {skill: handover for skill, handover in handovers.items() if handover.lane in lanes}
    directories(
        name="skills have their directories",
        paths=["/usr/local/share/signalbox", SKILLS, *(f"{SKILLS}/{skill}" for skill in skills)],
    )
    for skill, handover in skills.items():
        text = render(
            f"launchers/skills/{skill}.md",
            billed=lanes[handover.lane]["billed"],
            budget=handover.budget_usd,
            timeout=handover.timeout_seconds,
            parallel=settings.dispatch.parallel,
        )
        file(name=f"the skill {skill} is in place", path=f"{SKILLS}/{skill}/SKILL.md", content=text)
    homes = {lane["environment"]["CLAUDE_CONFIG_DIR"]: lane["private"] for lane in lanes.values()}
    homes = {account.path(".claude"): False, **homes}
    directories(
        name=f"{account.name}: lanes have their directories",
        paths=[path for home in homes for path in (home, f"{home}/skills")],
        mode="700",
        user=account.name,
    )
    targets = {
        f"{home}/skills/{skill}": f"{SKILLS}/{skill}"
        for home, private in homes.items()
        for skill in skills
        if not (private and skill == "cloud-escalator")  # nothing of a private lane goes to a cloud
    }
    theirs = [path for path, now in placed_each(targets, "link").items() if now.type == "directory"]
    for path in theirs:
        want("link", path)
        warn(f"{path} is a skill of {account.name}'s own: it stays, and is what a session gets in place of Signalbox's")
    targets = {path: target for path, target in targets.items() if path not in theirs}
    if targets:
        links(name=f"{account.name}: lanes have their skills", targets=targets, user=account.name)

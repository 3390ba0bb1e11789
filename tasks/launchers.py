"""Launchers: one command a lane, the same program behind all, for the service user alone."""

from __future__ import annotations

import json
from typing import Any

from signalbox.desired.lanes import PROGRAM
from signalbox.desired.packages import LAUNCHERS
from signalbox.desired.render import render
from signalbox.engine.changes import want
from signalbox.engine.deploy import deploy
from signalbox.engine.outcome import warn
from signalbox.host import programs
from signalbox.host.launcher import helps
from signalbox.operations import choice, directories, file, files, links, packages
from signalbox.operations.placed import placed_each
from signalbox.settings import Account
from signalbox.settings.sections.launchers import Launchers

from .programs import BASE

SKILLS = "/usr/local/share/signalbox/skills"
UNITS = "/etc/systemd/user"
# Where Debian's look; fish 4.0 reads vendors' files below /usr/share alone, over ssh.
ZSH, FISH = "/usr/local/share/zsh/site-functions", "/etc/fish/conf.d"
PAGES = "/usr/local/share/man/man1"
MOTD = "/etc/motd.d"  # what pam_motd shows after /etc/motd
# Beside those of lanes; claude-switch is more than a link.
COMMANDS = ("claude-logs", "claude-session", "claude-escalate", "claude-dispatch", "claude-usage")
RECORDS = "/etc/signalbox/lanes.json"


@deploy("Launchers")
def launchers(settings: Launchers, records: dict[str, Any], account: Account) -> None:
    """Place the programs, their `records`, a command claude-<lane> for each lane in them, and `account`'s skills."""
    if not settings.enabled:
        return
    directories(name="launchers have their directories", paths=[PROGRAM.rsplit("/", 1)[0], "/etc/signalbox"])
    files(
        name="the launchers' programs are in place",
        contents={f"{BASE}/{path}": text for path, text in programs("launcher").items()},
        modes={PROGRAM: "755"},
    )
    file(name="the lanes are known", path=RECORDS, content=json.dumps(records, indent=2, sort_keys=True) + "\n")
    commands = [f"claude-{name}" for name in records["lanes"]]
    completed = " ".join([*helps.of_all(records["lanes"]), "claude-doctor"])
    texts = {
        f"{BASE}/shell.sh": render(
            "launchers/shell.sh", program=PROGRAM, commands=" ".join(commands), completed=completed
        ),
        f"{BASE}/tmux.conf": render("launchers/tmux.conf"),
        "/usr/local/bin/claude-switch": render(
            "launchers/claude-switch", program=PROGRAM, functions=f"{BASE}/shell.sh"
        ),
        f"{ZSH}/_signalbox": render("launchers/_signalbox", program=PROGRAM, completed=completed),
        f"{FISH}/signalbox.fish": render("launchers/signalbox.fish", program=PROGRAM, completed=completed),
        f"{MOTD}/signalbox": render("launchers/motd", user=records["user"], lanes=", ".join(commands)),
        **{f"{PAGES}/{name}.1": text for name, text in manual_pages(records["lanes"]).items()},
    }
    packages(name="tmux holds lasting sessions, man shows pages", wanted=LAUNCHERS)
    texts |= {
        f"{UNITS}/claude-session@.service": render(
            "launchers/claude-session@.service", program=PROGRAM, tmux=f"{BASE}/tmux.conf"
        ),
        f"{UNITS}/claude-task@.service": render(
            "launchers/claude-task@.service", program=PROGRAM, seconds=settings.task_timeout_seconds
        ),
    }
    shared = ["/usr/local/share/zsh", ZSH, "/usr/local/share/man", "/etc/fish", FISH, PAGES, MOTD]
    directories(name="completions, manual pages and the greeting have their directories", paths=shared)
    for path, text in texts.items():
        mode = "755" if path.startswith("/usr/local/bin/") else "644"
        file(name=f"{path.rsplit('/', 1)[1]} is in place", path=path, content=text, mode=mode)
    links(
        name="each lane and each tool has its command",
        targets={f"/usr/local/bin/{command}": PROGRAM for command in [*commands, *COMMANDS]},
    )
    _skills(settings, records["lanes"], account)
    for key, number in records["settings"].items():
        choice(
            name=f"{account.name}: plain claude keeps what was said, where nothing else is chosen",
            path=account.path(".claude/settings.json"),
            key=key,
            number=number,
        )


def manual_pages(lanes: dict[str, Any]) -> dict[str, str]:
    """Return the manual page of each command, made from its help."""
    texts = helps.of_all(lanes)
    return {
        name: render(
            "launchers/man",
            name=_roff(name),
            line=_roff(line),
            text="\n".join(map(_roff, text.splitlines())),
            others=", ".join(rf"\fB{_roff(other)}\fR(1)" for other in helps.TEXTS if other != name),
        )
        for name, (line, text) in texts.items()
    }


def _roff(line: str) -> str:
    """Return a line that roff shows as it is."""
    escaped = line.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped


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

"""`signalbox plan` on real hosts: its exit status can be trusted, whatever happens to the host or the way to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.drills import looks
from tests.drills.deployment import PROJECT, Run, Site
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage, lab_host
from tests.lab import hosts, services
from tests.lab.instance import Lab

drill = Drill(
    "plan",
    "a plan that never lies",
    "`signalbox plan` ends with 0 only for hosts that were reached, examined to the end and are as wanted, with 2 for "
    "drift and 1 for all else; it names exactly what drifted, and what settings no longer ask for.",
)

OFF = lab_host("lie")
SOLO = {
    "models": dict.fromkeys(("main", "opus", "sonnet", "haiku", "fable"), "local"),
    "config_dir": "~/.claude-solo",
}


def _plan(site: Site, *arguments: str, **environment: str) -> tuple[int, dict[str, Any]]:
    run = site.signalbox("plan", "--json", *arguments, **environment)
    return run.status, json.loads(run.stdout)


def _named(site: Site) -> list[str]:
    """Plan; the host must have drifted, and all of it must be certain. Returns the operations."""
    status, report = _plan(site)
    assert (status, report["verdict"]) == (2, "drift"), (status, report["verdict"], report)
    (host,) = report["hosts"]
    assert {change["certainty"] for change in host["changes"]} == {"will"}, host["changes"]
    return [change["operation"] for change in host["changes"]]


def _clean(site: Site) -> None:
    status, report = _plan(site)
    assert (status, report["verdict"]) == (0, "clean"), (status, report)


@drill.cell("verdicts", fixed=True)
def verdicts(stage: Stage) -> Figures:
    """Clean is 0 and names no change; drift is 2 and names exactly what pyinfra's own --dry names."""
    site = stage.converged()
    quiet = site.signalbox("plan")
    assert quiet.status == 0, quiet
    # It may warn, such as of a small context, or of what another cell has had taken back.
    told = [line for line in quiet.stdout.splitlines() if not line.startswith(("  warning: ", "  remark: "))]
    assert told == [f"{HOST}: clean"], quiet
    looks.answer("chmod 666 /etc/signalbox/lanes.json", user="root")
    named = _named(site)
    assert named == ["the lanes are known"], named
    assert [name.split(" | ")[1] for name in site.plan().ok().planned(HOST)] == named
    control = must_fail(lambda: _clean(site), "a file's mode changed")
    looks.answer("chmod 644 /etc/signalbox/lanes.json", user="root")
    return {"clean": f"0 in {quiet.seconds:.1f} s", "drift": "; ".join(named), "control": control}


@drill.cell("no-longer-asked-for")
def no_longer_asked_for(stage: Stage) -> Figures:
    """A launcher, a package, a port, units and files of earlier settings are named, then gone; the replaced is back."""
    stage.converged()
    looks.answer("printf 'mine\\n' > /usr/local/bin/claude-solo", user="root")
    packages = ["git", "ripgrep", "jq", "tmux", "unzip", "htop"]
    more = {"lanes": {"solo": SOLO}, "base": {"packages": packages}, "firewall": {"open": {"tcp/8080": ["lan"]}}}
    stage.site(settings=more).deploy().ok()
    looks.answer(f"test -L /usr/local/bin/claude-solo && command -v htop && {OPEN}", user="root")
    link = "link /usr/local/bin/claude-solo: there → its original"
    ports = _left(stage.site(), ["package htop: there → nothing", link, "tcp/8080: open → closed"])
    gone = f'test "$(cat /usr/local/bin/claude-solo)" = mine && ! command -v htop && ! dpkg -s htop && ! {OPEN}'
    looks.answer(gone, user="root")
    looks.answer("rm /usr/local/bin/claude-solo", user="root")
    try:
        unit = "/etc/systemd/user/claude-session@.service"
        section = _left(stage.site(settings={"launchers": {"enabled": False}}), [f"file {unit}: there → nothing"])
        looks.answer(f"test ! -e /usr/local/bin/claude-local && test ! -e {unit}", user="root")
    finally:
        stage.site().deploy().ok()
    return {"named": "; ".join([*ports, *section]), "after the deploys": "gone, and the person's own file is back"}


OPEN = "nft list chain inet signalbox input | grep -q 8080"


def _left(site: Site, lines: list[str]) -> list[str]:
    """Plan, which must name these things by these lines; deploy; then it is clean. Returns the lines."""
    _named(site)
    _, report = _plan(site)
    (host,) = report["hosts"]
    told = [line for change in host["changes"] for line in change["differences"]]
    assert not set(lines) - set(told), told
    site.deploy().ok()
    _clean(site)
    return lines


@dataclass(frozen=True)
class Lie:
    """One way in which a plan could be mistaken for a clean one.

    title: what is wrong. damage: shell on the host, as root. mend: what takes that back. data: of the host in the
    inventory. arguments, environment: of the plan. deploy: text of another deploy file, after the project's own.
    inventory: text of another inventory. told: words that the plan must say. status: its exit status.
    """

    title: str
    told: str
    damage: str = "true"
    mend: str = "true"
    data: Mapping[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    deploy: str = ""
    inventory: str = ""
    status: int = 1


OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUXzz09ulwiSQWk1LKe2FQJ5hdR36lhvQ1S3sEwT0dd"
SUDO = {"ssh_user": "plain", "connection": {"sudo": True}}
RAISING = """
from pyinfra import host
from pyinfra.api import FactBase
class Broken(FactBase):
    def command(self): return "echo something"
    def process(self, output): raise RuntimeError("the fact is broken")
host.get_fact(Broken)
"""
LIES = {
    "ssh-refused": Lie("nobody listens for ssh", "Could not connect", "systemctl stop ssh.socket ssh.service",
                       "systemctl start ssh.service"),
    "key-refused": Lie("ssh refuses the login", "Authentication", data={**SUDO, "ssh_user": "nobody"}),
    "sudo-refused": Lie("the user may not use sudo", "sudo asks for a password", data=SUDO),
    "empty-inventory": Lie("the inventory holds no host", "no host is selected", inventory="lab = []\n"),
    "wrong-usage": Lie("an option is misspelt", "No such option", arguments=("--limt", OFF)),
    "limit-typo": Lie("--limit selects nothing", "No host matches found", arguments=("--limit", OFF[:-1] + "x")),
    "broken-deploy": Lie("the deploy file is no Python", "SyntaxError", deploy="def broken(:\n"),
    "no-write-permission": Lie("the report cannot be written", "cannot write", arguments=("--junit", "/proc/plan.xml")),
    "not-root": Lie("the user may read little and write nothing", "connection.sudo", data={"ssh_user": "plain"}),
    "pyinfra-yes": Lie("PYINFRA_YES is set, with which pyinfra looks for no drift", "git", status=2,
                       environment={"PYINFRA_YES": "1"}),
    "fact-raises": Lie("a fact raises", "RuntimeError: the fact is broken", deploy=RAISING),
    "host-key-changed": Lie("the host has another SSH key", "SSH host key",
                            data={"connection": {"host_key": OTHER_KEY}}),
}  # fmt: skip


def _liar(stage: Stage) -> Site:
    """Return a bare host with a user who is no admin."""
    if OFF not in hosts.running():
        stage.bare(OFF)
    keys = "install -d -m 700 -o plain ~plain/.ssh && install -m 600 -o plain ~/.ssh/authorized_keys ~plain/.ssh/"
    looks.answer(f"id plain || {{ useradd -m plain && {keys}; }}", host=OFF, user="root")
    return stage.site(OFF)


def _told(run: Run, status: int, words: str) -> str:
    """AssertionError unless the plan ended so, and said so on stdout or stderr. Returns the line that it said."""
    assert run.status == status, (run.status, run.stdout, run.stderr)
    lines = [line.strip() for line in [*run.stdout.splitlines(), *run.stderr.splitlines()] if words in line]
    assert lines, f"{words!r} is not told: {run.stdout}{run.stderr}"
    return lines[0][:160]


def _lied(lie: Lie) -> Callable[[Stage], Figures]:
    def body(stage: Stage) -> Figures:
        site = _liar(stage)
        if lie.data:
            site = stage.site(OFF, of_host={OFF: lie.data})
        arguments, files = list(lie.arguments), Lab.current().state / "inventories"
        if lie.deploy:  # below the project's own, so that the project's hooks and facts are there
            broken = files / "lie_deploy.py"
            broken.write_text(f"{(PROJECT / 'deploy.py').read_text()}\n{lie.deploy}")
            arguments.insert(0, str(broken))
        if lie.inventory:
            other = files / "lie_inventory.py"
            other.write_text(lie.inventory)
        inside = hosts.inside(OFF, "sh", "-c", lie.damage)
        subprocess.run(inside, check=True, capture_output=True)
        try:
            run = site.signalbox("plan", *arguments, inventory=other if lie.inventory else None, **lie.environment)
        finally:
            subprocess.run(hosts.inside(OFF, "sh", "-c", lie.mend), check=True, capture_output=True)
        told = _told(run, lie.status, lie.told)
        control = must_fail(lambda: _told(stage.site(OFF).signalbox("plan"), 1, ""), "a sound plan, which is 2 here")
        return {"status": run.status, "told": told, "control": control}

    body.__doc__ = f"Not clean: {lie.title}."
    return body


for _name, _lie in LIES.items():
    drill.cell(_name)(_lied(_lie))


@drill.cell("host-off")
def host_off(stage: Stage) -> Figures:
    """Not clean: the host is off."""
    site = _liar(stage)
    hosts.poweroff(OFF)
    run = site.signalbox("plan")
    hosts.up([OFF])
    return {"status": run.status, "told": _told(run, 1, "Could not connect")}


@drill.cell("lost-half-way")
def lost_half_way(stage: Stage) -> Figures:
    """Not clean: the host loses its power while it is examined."""
    plan = _Begun(_liar(stage))
    hosts.poweroff(OFF, hard=True)
    run = plan.ended()
    stage.discard(OFF)
    told = _told(run, 1, f"{OFF}: unknown")
    assert "Could not connect" not in run.stdout, f"control: it was lost before it was examined: {run.stdout}"
    return {"status": run.status, "told": " ".join(run.stdout.split())[:160] or told, "took": f"{run.seconds:.0f} s"}


@drill.cell("ctrl-c")
def ctrl_c(stage: Stage) -> Figures:
    """Not clean: Ctrl-C while the host is examined."""
    plan = _Begun(_liar(stage))
    plan.process.send_signal(signal.SIGINT)
    run = plan.ended()
    assert not run.stdout, run.stdout
    return {"status": run.status, "told": _told(run, 1, "nothing is known")}


class _Begun:
    """A plan of the host OFF that has a session there."""

    def __init__(self, site: Site) -> None:
        program = [
            sys.executable,
            "-c",
            "from signalbox.commands.cli import main; main()",
            "plan",
            str(site.inventory()),
        ]
        self._started = time.monotonic()
        self.process = subprocess.Popen(
            program, cwd=PROJECT, env={**os.environ, **services.environment()}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        # Seen without a session of our own; the brackets keep pgrep from finding this shell.
        seen = "until pgrep -f '[s]shd-session: root@notty' >/dev/null; do sleep 0.02; done; sleep 0.3"
        subprocess.run(hosts.inside(OFF, "sh", "-c", seen), check=True, timeout=60, capture_output=True)
        assert self.process.poll() is None, "control: the plan has ended before it could be disturbed"

    def ended(self) -> Run:
        stdout, stderr = self.process.communicate(timeout=180)
        return Run(self.process.returncode, stdout, stderr, time.monotonic() - self._started)

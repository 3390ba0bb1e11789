"""How a deploy reaches a host, and what it does when the host may be another."""

from __future__ import annotations

import os
import pprint
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.drills import looks, traces
from tests.drills.deployment import Run
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.record import PROJECT
from tests.drills.stage import HOST, Stage, lab_host
from tests.drills.tampers import AS_KEEPER
from tests.lab import hosts, services
from tests.lab.instance import Lab
from tests.lab.machine import sh

drill = Drill(
    "connection",
    "as root or through sudo, and only to the host that was meant",
    "Connecting works as root by key and as an admin user with sudo, with and without a password. An unknown or "
    "changed host key stops the run; `host_key` in the inventory or known_hosts decides, in a project of its own, too.",
)

WRONG = "gatewya"  # a section that there is not
BARE = lab_host("keys")
ADMIN = lab_host("admin")
PASSWORD = "correct horse battery"  # noqa: S105 (of a lab host)
SECRET = "ADMIN_SUDO_PASSWORD"  # noqa: S105 (a name)
ASKPASS = re.compile(r"</(run/user/\d+|dev/shm)/signalbox-askpass-\w+>")  # memory, where sudo is handed the password


def _logins(host: str) -> int:
    """Return how many SSH logins the host has seen, looked at without one."""
    journal = hosts.inside(host, "journalctl", "--no-pager", "-o", "cat", "-g", "^Accepted ")
    # journalctl -g ends with 1 where nothing matches.
    return len(subprocess.run(journal, capture_output=True, text=True, check=False).stdout.splitlines())


def _real_key(host: str) -> str:
    return Path(Lab.current().host(host).upper / "etc/ssh/ssh_host_ed25519_key.pub").read_text().strip()


def _other_key(directory: Path) -> str:
    (directory / "other").unlink(missing_ok=True)
    sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / "other"))
    return (directory / "other.pub").read_text().strip()


@drill.cell("host-keys", fixed=True)
def host_keys(stage: Stage) -> Figures:
    """An unknown and a changed host key stop the run before a login; the right one in the inventory is enough."""
    stage.bare(BARE)
    directory = Lab.current().state
    known = directory / "known_hosts.drill"
    other = _other_key(directory)

    def plan(known_hosts: str, **connection: Any) -> Run:
        known.write_text(known_hosts)
        data = {"ssh_known_hosts_file": str(known), "connection": connection}
        return stage.site(BARE, of_host={BARE: data}).plan()

    def stopped(run: Run) -> str:
        assert run.status == 1, f"ended with {run.status}"
        assert BARE in run.stderr, run.stderr
        assert _logins(BARE) == before, "there was a login"
        return next(line for line in run.stderr.splitlines() if BARE in line and "key" in line.lower()).strip()

    before = _logins(BARE)
    address = hosts.address(BARE)
    figures = {
        "unknown key": stopped(plan("")),
        "changed key": stopped(plan(f"{address} {other}\n")),
        "wrong connection.host_key": stopped(plan(f"{address} {_real_key(BARE)}\n", host_key=other)),
    }
    planned = plan("", host_key=_real_key(BARE)).ok().planned(BARE)
    assert planned
    assert _logins(BARE) > before, "control: a login is not seen in the host's journal"
    control = must_fail(lambda: stopped(plan(f"{address} {_real_key(BARE)}\n")), "the right key in known_hosts")
    stage.discard(BARE)
    return {**figures, "right connection.host_key alone": f"{len(planned)} operations planned", "control": control}


def _heard(host: str) -> int:
    """Return how many lines the host's sshd has written: it does for each connection, well or not."""
    journal = hosts.inside(host, "journalctl", "--no-pager", "-o", "cat", "-u", "ssh", "-t", "sshd-session")
    return len(subprocess.run(journal, capture_output=True, text=True, check=False).stdout.splitlines())


@drill.cell("own-project")
def own_project(stage: Stage) -> Figures:
    """A project with its own group_data/all.py, without lanes: wrong settings and host keys are refused there, too."""
    stage.bare(BARE)
    lab = Lab.current()
    directory = lab.state / "own"
    (directory / "group_data").mkdir(parents=True, exist_ok=True)
    known = directory / "known_hosts"
    known.write_text("")
    (directory / "mine.py").write_text("from pyinfra import local\nlocal.include('parts.py')\n")
    (directory / "parts.py").write_text("from tasks.base import base\nprint('no task is run')\n")
    settings = {key: value for key, value in stage.site(BARE).settings.items() if key != "lanes"}
    reach = {"ssh_hostname": hosts.address(BARE), "ssh_key": str(lab.key), "ssh_known_hosts_file": str(known)}

    def run(deploy: str, *, more: dict[str, Any] | None = None, host_key: str | None = None) -> tuple[int, str]:
        connection = {"connection": {"host_key": host_key}} if host_key else {}
        data = pprint.pformat({**settings, **(more or {})})
        (directory / "group_data" / "all.py").write_text(f"globals().update({data})\n")
        (directory / "inventory.py").write_text(f"boxes = {[(BARE, {**reach, **connection})]!r}\n")
        done = subprocess.run(
            [sys.executable, "-m", "pyinfra", "inventory.py", deploy, "--dry"],
            cwd=directory,
            env={**os.environ, **services.environment(), "PYTHONPATH": str(PROJECT), "PYINFRA_PROGRESS": "off"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def refused(word: str, deploy: str, **what: Any) -> str:
        logins, lines = _logins(BARE), _heard(BARE)
        status, told = run(deploy, **what)
        assert status == 1, told[-3000:]
        assert "Traceback" not in told, told[-3000:]
        assert _logins(BARE) == logins, "there was a login"
        assert word != WRONG or _heard(BARE) == lines, "there was a connection"
        return next(line.strip() for line in told.splitlines() if word in line)

    real, other = _real_key(BARE), _other_key(directory)
    deploy, wrong = str(PROJECT / "deploy.py"), {"gatewya": {"port": 4000}}
    figures = {}
    for name, file in (("deploy.py", deploy), ("a deploy that includes a file with a task of ours", "mine.py")):
        figures[f"{name}: wrong setting and host key"] = refused(WRONG, file, more=wrong, host_key=other)
        figures[f"{name}: wrong host key"] = refused("key", file, host_key=other)
        figures[f"{name}: unknown host key"] = refused("known_hosts", file)
    before = _logins(BARE), _heard(BARE)
    status, told = run(deploy, host_key=real)
    assert status == 0, told[-3000:]
    assert _logins(BARE) > before[0], "control: a login is not seen in the host's journal"
    assert _heard(BARE) > before[1], "control: a connection is not seen in the host's journal"
    control = must_fail(lambda: refused(WRONG, deploy, host_key=real), "nothing wrong")
    stage.discard(BARE)
    return {**figures, "control": control}


@drill.cell("admin-nopasswd")
def admin_nopasswd(stage: Stage) -> Figures:
    """Through sudo without a password a host that root converged is unchanged, and what drifts is healed."""
    stage.converged()
    hosts.add_admin(HOST, "admin")
    as_admin = stage.site(of_host={HOST: {"ssh_user": "admin", "connection": {"sudo": True}}})
    first = as_admin.deploy().ok()
    assert not first.changed(HOST), first.changed(HOST)
    looks.answer(f"rm /etc/signalbox/lanes.json && {AS_KEEPER} stop litellm", user="root")
    healed = as_admin.deploy().ok().changed(HOST)
    looks.answer("test -s /etc/signalbox/lanes.json", user="root")
    looks.gateway()
    assert not as_admin.deploy().ok().changed(HOST)
    looks.answer("rm /etc/sudoers.d/admin", user="root")
    control = must_fail(lambda: as_admin.plan().ok(), "the sudo rule removed")
    return {"operations": first.count(HOST), "changed": 0, "healed": "; ".join(healed), "control": control}


@drill.cell("admin-password")
def admin_password(stage: Stage) -> Figures:
    """Through sudo with a password a bare host converges; the password is in no process list and no log there."""
    stage.bare(ADMIN)
    hosts.add_admin(ADMIN, "admin", PASSWORD)
    of_host = {ADMIN: {"ssh_user": "admin", "connection": {"sudo": True, "sudo_password": SECRET}}}

    def site(password: str) -> Any:
        return stage.site(ADMIN, of_host=of_host, environment={SECRET: password})

    wrong = must_fail(lambda: site("wrong").plan().ok(), "a wrong password")
    first = site(PASSWORD).deploy().ok()
    # Once more with something to do, and with every program traced that is started, and every write to a file.
    looks.answer("rm /etc/signalbox/lanes.json", host=ADMIN, user="root")
    with traces.HostTrace(ADMIN) as trace:
        healed = site(PASSWORD).deploy().ok()
    assert healed.changed(ADMIN), "nothing was done while the host was traced"

    lines = trace.written().splitlines()
    assert [line for line in lines if ASKPASS.search(line) and PASSWORD in line], "sudo got it in another way"
    left = looks.answer("find /run/user /dev/shm -name 'signalbox-askpass-*'", host=ADMIN, user="root")
    assert left == "", f"sudo's password was left in {left}"

    def leaked(words: str) -> None:
        logs = "{ journalctl --no-pager; cat -- /var/log/* 2>/dev/null; } | grep -c -F"
        found = {
            "programs": trace.started().count(words),
            "writes to files": len(written := [line for line in lines if words in line and not ASKPASS.search(line)]),
            "logs": int(looks.answer(f"{logs} {looks.quoted(words)} || true", host=ADMIN, user="root")),
        }
        where = [line.split(",", 1)[0] for line in written]
        assert not any(found.values()), f"found so often: {found}; written: {where}"

    seen = must_fail(lambda: leaked("lanes.json"), "a word that is there")
    leaked(PASSWORD)
    again = site(PASSWORD).deploy().ok()
    assert not again.changed(ADMIN), again.changed(ADMIN)
    looks.gateway(host=ADMIN)
    stage.simulators.clear()
    told = looks.answer("claude-local -p 'say hello'", host=ADMIN)
    looks.served(stage, "lmstudio", "say hello")
    stage.discard(ADMIN)
    return {
        "changed": len(first.changed(ADMIN)),
        "first run": f"{first.seconds:.0f} s",
        "second run": f"no change in {again.seconds:.1f} s",
        "claude-local": told,
        "programs traced": trace.started().count("execve("),
        "password": "in no program's arguments, journal or log, and written to memory alone, for sudo; gone afterwards",
        "control": f"{wrong}; {seen}",
    }

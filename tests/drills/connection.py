"""How a deploy reaches a host, and what it does when the host may be another."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

from tests.drills import looks, traces
from tests.drills.deployment import Run
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage, lab_host
from tests.drills.tampers import AS_KEEPER
from tests.lab import hosts
from tests.lab.instance import Lab
from tests.lab.machine import sh

drill = Drill(
    "connection",
    "as root or through sudo, and only to the host that was meant",
    "Connecting works as root by key and as an admin user with sudo, with and without a password. An unknown or "
    "changed host key stops the run; `host_key` in the inventory or known_hosts decides.",
)

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

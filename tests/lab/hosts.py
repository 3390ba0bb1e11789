"""Lab hosts from Python: bring up, run commands, reboot, power off, take down.

up(["box1", "box2"]); run("box1", "systemctl is-system-running"); reboot("box1"); down(["box1"])
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.lab import access, base, network, provision, services
from tests.lab.instance import HostFiles, Lab, labs_directory, locked
from tests.lab.machine import LabError, Process, progress, require_machine, sh, step, wait_until
from tests.lab.zoo.state import State

BOOT_SECONDS = 60
AT_ONCE = max(2, os.cpu_count() or 1)  # a boot is bound by the processor
STOP_SECONDS = 30


def up(
    names: Sequence[str], *, with_services: bool = True, bare_ca: bool = False, states: Sequence[State] = ()
) -> None:
    """Bring hosts up, new ones and those that are powered off; return when ssh answers on all of them.

    `with_services` runs the simulators and the mirror beside them; `bare_ca` makes new hosts that do not trust this
    machine's own certificate authorities; `states` of the zoo are what new hosts are as.
    """
    require_machine()
    lab = Lab.current()
    for name in names:
        lab.host(name)  # a bad name is told before anything is done
    with locked(lab.name, shared=True):
        tree = base.tree(bare_ca=bare_ca)
        network.up(lab)
        access.make_key(lab)
        with step(f"starting {', '.join(names)}"), ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            for _ in pool.map(lambda name: _up_one(lab, name, tree, states), dict.fromkeys(names)):
                pass
        if with_services:
            services.start(lab)


def clone(source: str, names: Sequence[str]) -> None:
    """Make new hosts with a copy of the disk of `source`, which is powered off, and an identity of their own."""
    require_machine()
    lab = Lab.current()
    original = lab.host(source)
    if is_up(source):
        raise LabError(f"{source} runs: power it off before its disk is copied")
    with locked(lab.name, shared=True), step(f"copying {source} to {', '.join(names)}"):
        for name in names:
            with locked(f"{lab.name}.host.{name}"):
                provision.create(lab, lab.host(name), Path(original.facts()["base"]), original.upper)


def down(names: Sequence[str] | None = None) -> None:
    """Take hosts away with all they hold; without names the whole lab. What is not there is no error."""
    require_machine()
    lab = Lab.current()
    with locked(lab.name, shared=names is not None):
        every = [path.name for path in lab.state.glob("hosts/*")]
        chosen = [lab.host(name) for name in (every if names is None else names)]
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            for _ in pool.map(lambda host: _down_one(lab, host), chosen):
                pass
        if names is None:
            if lab.state.exists():
                services.stop(lab)
            network.down(lab)
            shutil.rmtree(lab.state, ignore_errors=True)
            if labs_directory().is_dir() and not any(labs_directory().iterdir()):
                labs_directory().rmdir()
        elif lab.state.exists():
            access.refresh(lab)


def exists(name: str) -> bool:
    """Return whether the host exists, running or powered off."""
    return Lab.current().host(name).record.exists()


def is_up(name: str) -> bool:
    """Return whether the host runs."""
    return Process.recorded(Lab.current().host(name).supervisor) is not None


def running() -> list[str]:
    """Return the names of the hosts that run."""
    return [name for name in Lab.current().hosts() if is_up(name)]


def address(name: str, version: int = 4) -> str:
    """Return the host's address in IP version 4 or 6."""
    lab = Lab.current()
    number = lab.host(name).facts()["number"]
    return lab.ipv4(number) if version == 4 else lab.ipv6(number)


def run(
    name: str,
    command: str | Sequence[str],
    *,
    user: str = "root",
    check: bool = True,
    timeout: float = 120,
    stdin: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command on the host over ssh, as a person would: a string for its shell, or a list of words.

    `timeout` is in seconds. Raises CalledProcessError for a status other than 0 when `check`, TimeoutExpired.
    """
    line = command if isinstance(command, str) else shlex.join(command)
    done = subprocess.run(
        [*access.ssh(Lab.current(), name, user), line],
        input=stdin if stdin is not None else "",
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if check and done.returncode:
        error = subprocess.CalledProcessError(done.returncode, f"{name}: {line}", done.stdout, done.stderr)
        error.add_note(done.stdout + done.stderr)
        raise error
    return done


def inside(name: str, *command: str) -> list[str]:
    """Return the command line that runs `command` as root inside the host by way of its namespaces.

    It needs neither network nor sshd: the way in when a drill has locked itself out.
    """
    nspawn = Process.recorded(Lab.current().host(name).leader)
    children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children").read_text().split() if nspawn else []
    if not children:
        raise LabError(f"{name} is not up: python -m tests.lab up {name}")
    environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"]
    terminal = [f"TERM={os.environ['TERM']}"] if "TERM" in os.environ else []
    owned = ["--user", "--setuid=0", "--setgid=0"] if Lab.current().host(name).facts().get("private") else []
    namespaces = [*owned, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd"]
    return ["nsenter", f"--target={children[0]}", *namespaces, "env", "-i", *environment, *terminal, *command]


def reboot(name: str) -> float:
    """Reboot the host from inside and wait until ssh answers under a new boot id; return the seconds it took."""
    before = boot_id(name)
    started = time.monotonic()
    sh(*inside(name, "systemctl", "reboot", "--no-wall"))
    wait_until(lambda: boot_id(name) not in (before, "") or not is_up(name), BOOT_SECONDS, 0.2)
    if boot_id(name) in (before, ""):
        raise LabError(f"{name} did not come back within {BOOT_SECONDS} s; its console: {Lab.current().host(name).log}")
    return time.monotonic() - started


def poweroff(name: str, *, hard: bool = False) -> None:
    """Power the host off and keep its disk, so that `up` starts it again; `hard` pulls the plug."""
    lab = Lab.current()
    host = lab.host(name)
    host.facts()
    if not is_up(name):
        return
    if hard:
        _kill(host)
        return
    sh(*inside(name, "systemctl", "poweroff", "--no-wall"))
    if not wait_until(lambda: not is_up(name), STOP_SECONDS):
        raise LabError(f"{name} did not power off within {STOP_SECONDS} s; its console: {host.log}")


def boot_id(name: str) -> str:
    """Return the id of the host's current boot over ssh; "" when ssh does not answer."""
    try:
        return run(name, "cat /proc/sys/kernel/random/boot_id", check=False, timeout=10).stdout.strip()
    except subprocess.TimeoutExpired:
        return ""


def add_admin(name: str, user: str, password: str | None = None) -> None:
    """Make a user who logs in with the lab's key and may sudo, with this password, or without one (None)."""
    rule = f"{user} ALL=(ALL:ALL) {'' if password else 'NOPASSWD:'}ALL\n"
    run(name, f"id {user} >/dev/null 2>&1 || useradd --create-home --shell /bin/bash {user}")
    run(name, f"install -d -m 700 -o {user} -g {user} ~{user}/.ssh")
    key = Lab.current().key.with_suffix(".pub").read_text()
    run(name, f"install -m 600 -o {user} -g {user} /dev/stdin ~{user}/.ssh/authorized_keys", stdin=key)
    run(name, f"install -m 440 /dev/stdin /etc/sudoers.d/{user}", stdin=rule)
    if password:
        run(name, "chpasswd", stdin=f"{user}:{password}\n")


def _up_one(lab: Lab, name: str, tree: Path, states: Sequence[State]) -> None:
    host = lab.host(name)
    with locked(f"{lab.name}.host.{name}"):
        if Process.recorded(host.supervisor):
            # One that was made before it had lab-kmsg.service.
            sh(*inside(name, "sh", "-c", "umount /proc/kmsg 2>/dev/null || true"))
            return
        started = time.monotonic()
        new = not host.record.exists()
        if new:
            provision.create(lab, host, tree, states=states)
        access.refresh(lab)
        _kill(host)  # what a supervisor that died has left
        _boot(lab, host)
        for state in states if new else ():
            with step(f"{name} becomes {state.name}"):
                sh(*inside(name, "sh", "-ec", state.script or ":"))
        progress.print(f"{name}: up at {address(name)} in {time.monotonic() - started:.1f} s")


def _boot(lab: Lab, host: HostFiles) -> None:
    settings = {
        "name": host.name,
        "machine": host.machine,
        "base": host.facts()["base"],
        "upper": str(host.upper),
        "work": str(host.directory / "work"),
        "root": str(host.directory / "root"),
        "cgroup": str(host.cgroup),
        "bridge": lab.bridge,
        "veth": host.veth,
        "supervisor": str(host.supervisor),
        "leader": str(host.leader),
        "options": host.facts().get("options", []),
    }
    with host.log.open("a") as log:
        detached = ["setsid", "--fork", "unshare", "--mount", "--propagation", "private"]
        script = str(Path(__file__).with_name("supervisor.py"))
        subprocess.run(
            [*detached, sys.executable, "-I", script, json.dumps(settings)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True, cwd="/",
        )  # fmt: skip
    deadline = time.monotonic() + BOOT_SECONDS
    wait_until(lambda: Process.recorded(host.leader) is not None, 5)
    where = address(host.name)
    while not _ssh_answers(where):
        if Process.recorded(host.supervisor) is None or time.monotonic() > deadline:
            tail = "\n".join(host.log.read_text(errors="replace").splitlines()[-8:])
            raise LabError(f"{host.name} did not start; its console ({host.log}) ends with:\n{tail}")
        time.sleep(0.05)


def _ssh_answers(where: str) -> bool:
    """Return whether an SSH server greets at this address (RFC 4253, 4.2)."""
    try:
        with socket.create_connection((where, 22), timeout=1) as connection:
            connection.settimeout(5)
            return connection.recv(8).startswith(b"SSH-2.0")
    except OSError:
        return False


def _kill(host: HostFiles) -> None:
    """End the host at once: its supervisor, systemd-nspawn and all that runs in its cgroup, and nothing else."""
    supervisor = Process.recorded(host.supervisor)
    if supervisor:  # it leads a process group of its own: itself and systemd-nspawn
        os.killpg(supervisor.pid, signal.SIGKILL)

    def gone() -> bool:
        members = [pid for directory in _below(host.cgroup) for pid in _members(directory)]
        for pid in members:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return not members and not (supervisor and supervisor.alive())

    if not wait_until(gone, STOP_SECONDS):
        raise LabError(f"processes of {host.name} do not end; they are listed in {host.cgroup}/**/cgroup.procs")
    sh("ip", "link", "delete", host.veth, check=False)
    for path in (host.leader, host.supervisor):
        path.unlink(missing_ok=True)


def _below(top: Path) -> list[Path]:
    """Return `top` and the cgroups below it, the deepest first; those that end meanwhile are left out."""
    return [Path(directory) for directory, _, _ in os.walk(top, topdown=False)]  # which passes over what is gone


def _members(cgroup: Path) -> list[int]:
    try:
        return [int(pid) for pid in (cgroup / "cgroup.procs").read_text().split()]
    except OSError:  # ENOENT: it is gone; ENODEV: it goes
        return []


def _remove_cgroups(top: Path) -> bool:
    """Remove `top` and all below it, as far as nothing lives there; return whether it is gone."""
    for path in _below(top):
        try:
            path.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True


def _down_one(lab: Lab, host: HostFiles) -> None:
    with locked(f"{lab.name}.host.{host.name}"):
        if not host.directory.exists():
            return
        if host.number_file.exists():  # else its creation was interrupted, and nothing of it ever ran
            _kill(host)
        # A process that is on its way out is in no list any more and still keeps its cgroup.
        if not wait_until(lambda: _remove_cgroups(host.cgroup), STOP_SECONDS):
            raise LabError(f"{host.name} is gone, but the kernel keeps {host.cgroup}; try again")
        host.record.unlink(missing_ok=True)  # first, so that what an interruption leaves is no host
        shutil.rmtree(host.directory)

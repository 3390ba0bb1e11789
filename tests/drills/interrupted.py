"""The controller is killed at the worst moments; what it leaves is finished by the next run."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from signalbox.shell.secret_files import reader
from tests.drills import looks
from tests.drills.deployment import Running, Site
from tests.drills.drill import Drill, Figures
from tests.drills.stage import HOST, Stage, lab_host
from tests.drills.tampers import AS_KEEPER, DOCKER, FOR_CLAUDE, FOR_KEEPER, GATEWAY, HOME, KEY
from tests.lab import access, hosts
from tests.lab.instance import Lab

drill = Drill(
    "interrupted",
    "killed at any moment, finished by the next run",
    "SIGKILL of the controller during apt, image pull, mise install, secret write, and between config and restart: "
    "the next run completes, the one after changes nothing.",
)

BARE = lab_host("kill")
MOMENT = "/run/drill/moment"  # in a directory that every user of the host may write to
MOMENT_SECONDS = 240  # until the moment comes
LOOK_SECONDS = 0.02  # between two looks for it, on the host itself
HELD_SECONDS = 60  # how long a brake holds a program that nobody releases


@dataclass(frozen=True)
class Moment:
    """When to kill. comes: shell that ends with 0 in that moment. undone: shell that ends with 0 if, right after
    the kill, the step is not done: else the moment was missed and nothing was proved."""

    comes: str
    undone: str


def _kill(site: Site, moment: Moment, host: str) -> float:
    return kill(site.start, moment, host)


def kill(start: Callable[[], Running], moment: Moment, host: str) -> float:
    """Start a run, kill its controller in the moment and return the seconds it had run."""
    looks.answer(f"install -d -m 1777 {Path(MOMENT).parent} && rm -f {MOMENT}", host=host, user="root")
    running = start()
    tries = int(MOMENT_SECONDS / LOOK_SECONDS)
    watch = f"for i in $(seq {tries}); do {{ {moment.comes}; }} && exit 0; sleep {LOOK_SECONDS}; done; exit 1"
    watching = subprocess.Popen([*access.ssh(Lab.current(), host), watch])
    while watching.poll() is None and not running.ended():
        time.sleep(LOOK_SECONDS)
    ended, seconds = running.ended(), running.kill()
    watching.kill()
    came = watching.wait() == 0
    assert not ended, f"pyinfra ended before it was killed:\n{running.wait().stderr[-3000:]}"
    assert came, f"the moment did not come within {MOMENT_SECONDS} s"
    looks.answer(moment.undone, host=host, user="root")
    return seconds


def _finished(stage: Stage, site: Site, host: str) -> Figures:
    """The next run completes, the one after changes nothing, and the host works."""
    completing = site.deploy().ok()
    looks.user_units(host=host)
    looks.gateway(host=host)
    again = site.deploy().ok()
    assert not again.changed(host), f"the run after the completing one changes {again.changed(host)}"
    stage.simulators.clear()
    told = looks.answer("claude-local -p 'say hello'", host=host)
    looks.served(stage, "lmstudio", "say hello")
    return {
        "next run": f"{len(completing.changed(host))} changes in {completing.seconds:.0f} s",
        "the one after": "no change",
        "claude-local": told,
    }


class Brake:
    """Holds a program of the host in a chosen call, so that a moment of a millisecond can be met.

    A script of the same name, earlier in PATH, runs `held` in place of the call whose arguments or output file hold
    `words`, tells the moment and waits; any other call goes through.
    """

    def __init__(self, host: str, program: str, words: str, held: str) -> None:
        self._host, self._program, self._words, self._held = host, program, words, held

    def __enter__(self) -> Moment:
        script = f"""#!/bin/sh
if {{ printf '%s\\n' "$*"; readlink /proc/$$/fd/1; }} | grep -qF -- '{self._words}'; then
    {self._held}
    touch {MOMENT}
    for i in $(seq {HELD_SECONDS * 10}); do [ -e {MOMENT} ] || exit 1; sleep 0.1; done
    exit 1
fi
exec /usr/bin/{self._program} "$@"
"""
        # Moved into place: it may be a program that places it.
        put = f"cat > /root/brake && chmod 755 /root/brake && mv /root/brake /usr/local/sbin/{self._program}"
        hosts.run(self._host, put, stdin=script)
        return Moment(f"test -e {MOMENT}", "true")

    def __exit__(self, *_: object) -> None:
        looks.answer(f"rm -f /usr/local/sbin/{self._program} {MOMENT}; sleep 0.3", host=self._host, user="root")


@drill.cell("apt")
def apt(stage: Stage) -> Figures:
    """Killed on a bare host while dpkg unpacks, and again while it configures Docker's packages."""
    stage.bare(BARE)
    site = stage.site(BARE)
    unfinished = "! dpkg-query -W -f '${{db:Status-Status}}\\n' {} 2>/dev/null | grep -qx installed"
    first = _kill(site, Moment("pgrep -x dpkg", unfinished.format("ripgrep tmux unzip")), BARE)
    docker = "ls /var/lib/dpkg/info/docker.io.list"
    second = _kill(site, Moment(f"{docker} 2>/dev/null && pgrep -x dpkg", unfinished.format("docker.io")), BARE)
    figures = _finished(stage, site, BARE)
    stage.discard(BARE)
    return {"killed after": f"{first:.1f} s, then {second:.1f} s", **figures}


@drill.cell("image-pull")
def image_pull(stage: Stage) -> Figures:
    """Killed while the gateway's image is pulled."""
    site = stage.converged()
    remove = f"{AS_KEEPER} stop litellm.service; {DOCKER} image rm --force $({DOCKER} image ls --quiet)"
    looks.answer(remove, user="root")
    # In brackets, or the look would find itself.
    pulling = "pgrep -f '[d]ocker pull' > /dev/null && sleep 1"
    missing = f'test -z "$({DOCKER} image ls --quiet)"'
    killed = _kill(site, Moment(pulling, missing), HOST)
    return {"killed after": f"{killed:.1f} s", **_finished(stage, site, HOST)}


@drill.cell("mise-install")
def mise_install(stage: Stage) -> Figures:
    """Killed while mise installs Node, with Claude Code to follow."""
    site = stage.converged()
    installs = f"{HOME}/.local/share/mise/installs/node"
    looks.answer(f"rm -rf {installs}/* /usr/local/lib/signalbox/claude-code-*", user="root")
    unrecorded = f"! {FOR_CLAUDE} HOME={HOME} {HOME}/.local/bin/claude --version"
    killed = _kill(site, Moment("pgrep -x mise", unrecorded), HOST)
    return {"killed after": f"{killed:.1f} s", **_finished(stage, site, HOST)}


@drill.cell("secret-write")
def secret_write(stage: Stage) -> Figures:
    """Killed with half of a secret written: the file in use is whole, old or new, and never readable by others."""
    site = stage.converged()
    path = KEY
    whole = looks.answer(f"{FOR_KEEPER} {reader(path)} | sha256sum", user="root")
    older = f"echo older | {FOR_KEEPER} systemd-creds --user encrypt --name=ANTHROPIC_DIRECT_KEY - {path}"
    looks.answer(older, user="root")
    old = looks.answer(f"sha256sum < {path}", user="root")
    with Brake(HOST, "systemd-creds", f"{path}.signalbox-new", f"head -c 40 > {path}.signalbox-new") as moment:
        killed = _kill(site, moment, HOST)
        at_kill = looks.answer(f"sha256sum < {path}", user="root")
        assert at_kill == old, "the file in use was changed by half a write"
        left = looks.answer(f"stat -c '%s bytes, mode %a' {path}.signalbox-new", user="root")
    figures = _finished(stage, site, HOST)
    assert looks.answer(f"{FOR_KEEPER} {reader(path)} | sha256sum", user="root") == whole
    leftovers = looks.answer(f"find {GATEWAY} -name '*.signalbox-new'", user="root")
    assert not leftovers, leftovers
    return {"killed after": f"{killed:.1f} s", "left": left, **figures}


@drill.cell("config-restart", fixed=True)
def config_restart(stage: Stage) -> Figures:
    """Killed between writing the gateway's configuration and restarting it: the next run restarts it."""
    stage.converged()
    site = stage.site(settings={"gateway": {"request_timeout_seconds": 601}})
    running = looks.started()
    config = f"{GATEWAY}/config.yaml"
    with Brake(HOST, "mv", config, '/usr/bin/mv "$@"') as moment:
        killed = _kill(site, moment, HOST)
    looks.answer(f"grep -q 'request_timeout: 601' {config}", user="root")
    assert looks.started() == running, "the gateway was restarted before the kill: the moment was missed"
    pending = site.plan().ok().planned(HOST)
    assert any("runs what is on disk" in name for name in pending), f"the plan names {pending or 'nothing'}"
    figures = _finished(stage, site, HOST)
    assert looks.started() != running, "the gateway still runs with the old configuration"
    _back(stage)
    return {"killed after": f"{killed:.1f} s", "named by the plan": "; ".join(pending), **figures}


def _back(stage: Stage) -> None:
    """Give the shared host its own settings again."""
    stage.site().deploy().ok()

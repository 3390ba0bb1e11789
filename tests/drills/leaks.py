"""A marked secret goes every way that secrets go, and is looked for everywhere."""

from __future__ import annotations

import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from signalbox.init.questions import QUESTIONS
from signalbox.settings.layers import defaults
from signalbox.shell.secret_files import reader
from tests.drills import looks
from tests.drills.drill import Drill, Figures
from tests.drills.init import person_at, right
from tests.drills.person import environment
from tests.drills.record import PROJECT
from tests.drills.search import DECOYS, RUN, Search
from tests.drills.stage import HOST, Stage
from tests.drills.swap import asked
from tests.drills.tampers import KEY, THEIR_GATEWAY_KEY
from tests.lab import hosts, services

drill = Drill(
    "leaks",
    "a secret shows nowhere",
    "A marked secret through every path (init, deploy with -vvv --diff --debug, failed deploy, plan --json, crash, "
    "rotate): found in none of stdout, stderr, pyinfra's log, every execve's argv on controller and under sshd "
    "(traced, not sampled), shell history, journal, `docker inspect`, image layers, world-readable files, remote temp "
    "files, the plan JSON. With the control that proves each search would have found it.",
)

PYINFRA = (sys.executable, "-m", "pyinfra")
SIGNALBOX = (sys.executable, "-c", "from signalbox.commands.cli import main; main()")
NAME = "ANTHROPIC_DIRECT_KEY"
# The task that handles secrets alone, so that a few seconds show it.
_OTHERS_OFF = {
    section: {"enabled": False}
    for section, values in defaults().items()
    if section != "secrets" and isinstance(values, dict) and "enabled" in values
}
MODEL = "claude-sonnet-4-6"  # a cloud's
LOUD = ("-y", "-vvv", "--diff", "--debug")
# A deploy that crashes in the midst of its operations, when the secrets are in place.
BETWEEN = """
from pyinfra.operations import python
from signalbox.runs import deploy
from signalbox.tasks.runs import deploy as ordered
def crash():
    raise RuntimeError("crash")
gateway = getattr(ordered.gateway, "whole", ordered.gateway)
def crashing(*arguments, **more):
    python.call(name="It crashes", function=crash)
    gateway(*arguments, **more)
crashing.whole = gateway
ordered.gateway = crashing
deploy()
"""
# The program that encrypts fails, and what there is decrypts all the same.
ENCRYPTS = "/usr/bin/systemd-creds"
NO_ENCRYPTION = (
    f"mv {ENCRYPTS} {ENCRYPTS}.kept; printf '%s\\n' '#!/bin/sh' 'case \"$*\" in *encrypt*)"
    f' echo drill: no encryption >&2; exit 1;; esac; exec {ENCRYPTS}.kept "$@"\' > {ENCRYPTS}; chmod 755 {ENCRYPTS}'
)
ENCRYPTION = f"mv {ENCRYPTS}.kept {ENCRYPTS}"


def _refused_upstream(stage: Stage) -> str:
    """Have the cloud refuse the provider's key: what the gateway says of that, to whomever, must not hold it."""
    stage.simulators.fault("anthropic", "401")
    try:
        (told,) = asked(MODEL, 1, 1)
    finally:
        stage.simulators.heal()
    assert told["error"], f"the request was not refused: {told}"
    return f"{told['status']}: {told['error'][:120]}"


def _mark() -> str:
    return f"sk-ant-drill-{secrets.token_hex(16)}"


def _control(search: Search, *, layers: bool = False) -> str:
    """Plant another secret in each place: each search must find it."""
    decoy = _mark()
    with search.host_traced():
        hosts.run(HOST, ["/bin/true", decoy])
        hosts.run(HOST, f"cat > {DECOYS[0]}; rm {DECOYS[0]}", stdin=decoy)  # there for a moment alone
        copy = f"umask 077; cat > {RUN}/decoy; cp {RUN}/decoy {RUN}/../decoy; rm {RUN}/decoy {RUN}/../decoy"
        hosts.run(HOST, copy, stdin=decoy)
    search.run("/bin/echo", decoy)
    search.run("sh", "-c", f"echo {decoy} >&2")
    search.run("/bin/echo", decoy, "--json")
    (search.place / "written").write_text(decoy)
    log, history = PROJECT / "pyinfra-debug.log", Path.home() / ".drill_history"
    for path in (log, history):
        with path.open("a") as file:
            file.write(decoy)
    docker = f"runuser -u {looks.GATEWAY_USER} -- docker -H unix:///run/user/$(id -u {looks.GATEWAY_USER})/docker.sock"
    image = f"$({docker} image ls -q | head -n1)"
    plant = (
        f"logger {decoy}; umask 077; for f in {' '.join(DECOYS)}; do echo {decoy} > $f; done; chmod 644 {DECOYS[1]};"
        f" {docker} run --name decoy --env X={decoy} --entrypoint echo {image} {decoy} > /dev/null;"
        f" {docker} cp {DECOYS[1]} decoy:/decoy"
    )
    looks.answer(plant, user="root")
    try:
        found = search.found(decoy, layers=layers)
    finally:
        looks.answer(f"rm -f {' '.join(DECOYS)}; {docker} rm decoy", user="root")
        history.unlink()
    assert any(each.endswith("/decoy") for each in search.copied), f"control: a copy was not seen: {search.copied}"
    missed = [where for where, what in found.items() if not what]
    assert not missed, f"control: a secret that was planted was not found in {missed}"
    assert set(DECOYS) <= {path for paths in found.values() for path in paths}, found
    return f"planted in {len(found)} places, found in each: {' / '.join(found)}"


@drill.cell("lane-key", fixed=True)
def lane_key(stage: Stage) -> Figures:
    """A secret of a lane: deployed with -vvv --diff --debug, every program traced, and found nowhere."""
    stage.converged()
    marked, name = _mark(), "DRILL_KEY"
    lanes = {"api": {"enabled": True, "credential": name, "billed": "nobody"}}
    search = Search(stage, {**_OTHERS_OFF, "lanes": lanes})
    try:
        with search.host_traced():
            search.run(*PYINFRA, str(search.inventory), "deploy.py", *LOUD, **services.environment(), **{name: marked})
        assert search.statuses == [0], search.seen["stderr"][-3000:]
        held = looks.answer(reader(f"/home/claude/.config/signalbox/{name}.cred"))
        assert held == marked, "the secret did not arrive"
        search.nowhere(marked)
        figures: dict[str, object] = {
            "programs traced on the controller": search.seen["argv, controller"].count("execve("),
            "programs traced on the host": search.seen["argv, host"].count("execve("),
            "lines of output": sum(search.seen[stream].count("\n") for stream in ("stdout", "stderr")),
            "found": "nowhere",
            "control": _control(search),
        }
    finally:
        search.close()
        # As if it had never been: other cells go on with a host whose plan is clean.
        entry = f"/var/lib/signalbox/manifest/*{name.replace('_', '-')}*"
        looks.answer(f"rm -f /home/claude/.config/signalbox/{name}.cred {entry}", user="root")
    return figures


def _answers() -> dict[str, str]:
    """Return what `signalbox init` is told of the converged host, the cloud's key aside."""
    known = {question.id for question in QUESTIONS if question.secret is None}
    return {**{name: answer for name, answer in right(HOST).items() if name in known}, "check_cloud": "n"}


@drill.cell("every-path")
def every_path(stage: Stage) -> Figures:
    """A provider's key from the vault: init, plan, deploy, failed deploy, crash, and the rotation of both keys."""
    stage.converged()
    marked = _mark()
    place = tempfile.TemporaryDirectory()
    vault = {"source": "vault", "vault_files": f"{place.name}/{{scope}}.yml", "key": f"file:{place.name}/key"}
    search = Search(stage, {"secrets": vault})
    inventory = str(search.inventory)
    crashes = {"before": search.place / "before.py", "between": search.place / "between.py"}
    crashes["before"].write_text("exec(open('deploy.py').read())\nraise RuntimeError('crash')\n")
    crashes["between"].write_text(BETWEEN)
    gateway_keys = [looks.answer(THEIR_GATEWAY_KEY, user="root")]
    ended: dict[str, int] = {}

    def step(name: str, wanted: bool, *command: str, **more: Any) -> None:
        output = search.run(*command, **more)
        ended[name] = search.statuses[-1]
        well = ended[name] in ((0, 2) if name in ("init", "plan --json") else (0,))
        assert well == wanted, f"{name} ended with {ended[name]}: {output[-2000:]}"

    of_host = (*SIGNALBOX, "secrets", "--inventory", inventory, "--host", HOST)
    try:
        with person_at(key=True) as (project, home):
            (home / "answers.yaml").write_text(yaml.safe_dump(_answers()))
            words = ("--yes", "--no-deploy", "--answers", str(home / "answers.yaml"))
            step("init", True, *SIGNALBOX, "init", *words, cwd=project, **environment(home), **{NAME: marked})
            for written in ("secrets", "group_data", "inventory.py", ".signalbox", "pyinfra-debug.log"):
                subprocess.run(["cp", "-rL", str(project / written), str(search.place)], check=False)
            assert NAME in (search.place / "secrets" / "all.yml").read_text(), "init has not kept the secret"
        step("secrets init", True, *of_host, "init")
        step("secrets set", True, *of_host, "set", NAME, stdin=f"{marked}\n")
        vault_keys = [(Path(place.name) / "key").read_text().strip()]
        step("secrets rotate-key", True, *of_host, "rotate-key")
        vault_keys.append((Path(place.name) / "key").read_text().strip())
        with search.host_traced():
            step("plan --json", True, *SIGNALBOX, "plan", inventory, "--json", "-vv")
            step("deploy", True, *PYINFRA, inventory, "deploy.py", *LOUD)
            held = looks.answer(f"cat {RUN}/*/secrets/{NAME}", user="root")
            assert marked in held.split(), "the secret did not arrive"
            refused = _refused_upstream(stage)
            step("failed deploy", False, *PYINFRA, inventory, "deploy.py", *LOUD, "--data", "gateway.entrypoint=/none")
            looks.answer(f"rm {KEY}; {NO_ENCRYPTION}", user="root")
            step("failed encryption", False, *PYINFRA, inventory, "deploy.py", *LOUD)
            assert "drill: no encryption" in search.seen["stderr"], "it failed elsewhere"
            looks.answer(ENCRYPTION, user="root")
            step("crash before all operations", False, *PYINFRA, inventory, str(crashes["before"]), *LOUD)
            step("crash after the secrets", False, *PYINFRA, inventory, str(crashes["between"]), *LOUD)
            looks.answer(f"test -s {KEY}", user="root")
            step("deploy again", True, *PYINFRA, inventory, "deploy.py", "-y")
            step("secrets rotate-gateway-key", True, *SIGNALBOX, "secrets", "rotate-gateway-key", inventory, "-v")
        gateway_keys.append(looks.answer(THEIR_GATEWAY_KEY, user="root"))
        assert len(set(gateway_keys)) == 2, "the gateway's key was not rotated"
        search.nowhere(marked, layers=True)
        search.nowhere(*gateway_keys, *vault_keys)
        return {
            **{f"{name}, exit status": status for name, status in ended.items()},
            "a request that the cloud refuses": refused,
            "programs traced on the controller": search.seen["argv, controller"].count("execve("),
            "programs traced on the host": search.seen["argv, host"].count("execve("),
            "found": "nowhere, nor any key of the gateway or of the vault, old or new",
            "control": _control(search, layers=True),
        }
    finally:
        search.close()
        place.cleanup()
        looks.answer(f"[ ! -e {ENCRYPTS}.kept ] || {ENCRYPTION}", user="root")
        stage.site().deploy().ok()

"""A marked secret goes every way that secrets go, and is looked for everywhere."""

from __future__ import annotations

import base64
import hashlib
import secrets
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from signalbox.facts.secrets import reader
from signalbox.settings.layers import defaults, merge
from tests.drills import looks, traces
from tests.drills.drill import Drill, Figures
from tests.drills.record import PROJECT
from tests.drills.stage import HOST, Stage
from tests.drills.tampers import THEIR_GATEWAY_KEY
from tests.lab import hosts, services
from tests.lab.inventory import write_inventory

drill = Drill(
    "leaks",
    "a secret shows nowhere",
    "A marked secret through every path (init, deploy with -vvv --diff --debug, failed deploy, plan --json, crash, "
    "rotate): found in none of stdout, stderr, pyinfra's log, every execve's argv on controller and under sshd "
    "(traced, not sampled), shell history, journal, `docker inspect`, image layers, world-readable files, remote temp "
    "files, the plan JSON. With the control that proves each search would have found it.",
)

PYINFRA = (sys.executable, "-m", "pyinfra")
SIGNALBOX = (sys.executable, "-c", "from signalbox.cli import main; main()")
NAME = "ANTHROPIC_DIRECT_KEY"
# The task that handles secrets alone, so that a few seconds show it.
_OTHERS_OFF = {
    section: {"enabled": False}
    for section, values in defaults().items()
    if section != "secrets" and isinstance(values, dict) and "enabled" in values
}
PATTERNS = "/run/drill-patterns"
DECOY = "/tmp/decoy"  # noqa: S108 (the host's)
LOUD = ("-y", "-vvv", "--diff", "--debug")
RUN = f"/run/user/$(id -u {looks.GATEWAY_USER})/litellm"


def _mark() -> str:
    return f"sk-drill-{secrets.token_hex(16)}"


def _forms(value: str) -> list[str]:
    """Return what would tell a secret: itself, encoded, or hashed as it is."""
    hashes = [hashlib.sha256(text.encode()).hexdigest() for text in (value, f"{value}\n")]
    return [value, base64.b64encode(value.encode())[:-4].decode(), value.encode().hex(), *hashes]


class Search:
    """What was seen on the controller and the host while a secret went its way; `found` looks for one in all of it."""

    def __init__(self, stage: Stage, settings: Mapping[str, Any]) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self.place = Path(self._directory.name)
        self.inventory = self.place / "hosts.py"
        write_inventory([HOST], merge(stage.site().settings, dict(settings)), {}, self.inventory)
        self.seen: dict[str, str] = {"controller's output": "", "controller's argv": "", "host's argv": ""}
        self.statuses: list[int] = []
        looks.mark()

    def run(self, *command: str, stdin: str = "", **environment: str) -> str:
        """Run a command of the controller, traced; return its output."""
        own = {"XDG_STATE_HOME": str(self.place), "TMPDIR": str(self.place), "PYINFRA_PROGRESS": "off"}
        output, argv, status = traces.run(command, PROJECT, {**own, **environment}, stdin)
        self.seen["controller's output"] += output
        self.seen["controller's argv"] += argv
        self.statuses.append(status)
        return output

    @contextmanager
    def host_traced(self) -> Iterator[None]:
        """Trace what is started on the host."""
        with traces.HostTrace() as trace:
            yield
        self.seen["host's argv"] += trace.started()

    def found(self, value: str, *, layers: bool = False) -> dict[str, list[str]]:
        """Return where the secret, or what tells it, was found; `layers`: images and other container storage too."""
        patterns = "".join(f"{form}\n" for form in _forms(value))
        docker = "".join(
            f"runuser -u {user} -- env DOCKER_HOST=unix:///run/user/$(id -u {user})/docker.sock sh -c '"
            "docker inspect $(docker ps -aq) $(docker image ls -q); docker ps -a --no-trunc;"
            " for i in $(docker image ls -q); do docker image history --no-trunc $i; done;"
            " for c in $(docker ps -aq); do docker logs $c; done' 2>&1;"
            for user in ("claude", looks.GATEWAY_USER)
        )
        # What was written since the search began can hold the secret; images are looked through from the first layer.
        files = "find / \\( -path /proc -o -path /sys -o -path /dev \\) -prune -o -type f -newercm /run/drill-mark"
        files += f" -print0 | xargs -0 -r grep -laF -f {PATTERNS} || true"
        if layers:
            files = f"grep -rlaF --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev -f {PATTERNS} / || true"
        entries = f"journalctl --no-pager -o export | grep -caF -f {PATTERNS} || true"
        seen = {
            **self.seen,
            "host's Docker": hosts.run(HOST, docker, check=False, timeout=240).stdout,
            "files of the controller": "\n".join(
                path.read_text(errors="replace") for path in [*self.place.rglob("*"), PROJECT / "pyinfra-debug.log"]
                if path.is_file()
            ),
        }  # fmt: skip
        found = {where: [form for form in _forms(value) if form in text] for where, text in seen.items()}
        look = f"umask 077; cat > {PATTERNS}; {entries}; {{ {files}; }} 2>/dev/null; rm {PATTERNS}"
        count, *paths = hosts.run(HOST, look, stdin=patterns, timeout=400).stdout.splitlines()
        found["host's journal"] = [f"{count} entries"] if int(count) else []
        by_design = (looks.answer(f"echo {RUN}", user="root"), PATTERNS)
        found["host's files"] = [path for path in paths if not path.startswith(by_design)]
        return found

    def close(self) -> None:
        """Remove what the controller has written."""
        (PROJECT / "pyinfra-debug.log").unlink(missing_ok=True)
        self._directory.cleanup()


def _nowhere(found: Mapping[str, list[str]]) -> None:
    there = {where: what for where, what in found.items() if what}
    assert not there, f"the secret was found: {there}"


def _control(search: Search, *, layers: bool = False) -> str:
    """Plant another secret in each place: each search must find it."""
    decoy = _mark()
    with search.host_traced():
        hosts.run(HOST, ["/bin/true", decoy])
    search.run("/bin/true", decoy)
    search.run("/bin/echo", decoy)
    (search.place / "written").write_text(decoy)
    docker = f"runuser -u {looks.GATEWAY_USER} -- docker -H unix:///run/user/$(id -u {looks.GATEWAY_USER})/docker.sock"
    plant = (
        f"logger {decoy}; echo {decoy} > {DECOY}; {docker} create --name decoy --env X={decoy}"
        f" $({docker} image ls -q | head -n1) > /dev/null"
    )
    looks.answer(plant, user="root")
    try:
        found = search.found(decoy, layers=layers)
    finally:
        looks.answer(f"rm -f {DECOY}; {docker} rm decoy", user="root")
    missed = [where for where, what in found.items() if not what]
    assert not missed, f"control: a secret that was planted was not found in {missed}"
    assert DECOY in found["host's files"]
    return f"planted in {len(found)} places, found in each"


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
        assert search.statuses == [0], search.seen["controller's output"][-3000:]
        held = looks.answer(reader(f"/home/claude/.config/signalbox/{name}.cred"))
        assert held == marked, "the secret did not arrive"
        _nowhere(search.found(marked))
        figures: dict[str, object] = {
            "programs traced on the controller": search.seen["controller's argv"].count("execve("),
            "programs traced on the host": search.seen["host's argv"].count("execve("),
            "lines of output": search.seen["controller's output"].count("\n"),
            "found": "nowhere",
            "control": _control(search),
        }
    finally:
        search.close()
        # As if it had never been: other cells go on with a host whose plan is clean.
        entry = f"/var/lib/signalbox/manifest/*{name.replace('_', '-')}*"
        looks.answer(f"rm -f /home/claude/.config/signalbox/{name}.cred {entry}", user="root")
    return figures


@drill.cell("every-path")
def every_path(stage: Stage) -> Figures:
    """A provider's key from the vault: init, deploy, failed deploy, plan, crash and the gateway key's rotation."""
    stage.converged()
    marked = _mark()
    place = tempfile.TemporaryDirectory()
    vault = {"source": "vault", "vault_files": f"{place.name}/{{scope}}.yml", "key": f"file:{place.name}/key"}
    search = Search(stage, {"secrets": vault})
    inventory = str(search.inventory)
    crash = search.place / "crash.py"
    crash.write_text("exec(open('deploy.py').read())\nraise RuntimeError('crash')\n")
    gateway_keys = [looks.answer(THEIR_GATEWAY_KEY, user="root")]
    ended: dict[str, int] = {}

    def step(name: str, wanted: bool, *command: str, stdin: str = "") -> None:
        output = search.run(*command, stdin=stdin)
        ended[name] = search.statuses[-1]
        well = ended[name] in ((0, 2) if name == "plan --json" else (0,))
        assert well == wanted, f"{name} ended with {ended[name]}: {output[-2000:]}"

    of_host = (*SIGNALBOX, "secrets", "--inventory", inventory, "--host", HOST)
    try:
        step("init", True, *of_host, "init")
        step("set", True, *of_host, "set", NAME, stdin=f"{marked}\n")
        with search.host_traced():
            step("plan --json", True, *SIGNALBOX, "plan", inventory, "--json", "-vv")
            step("deploy", True, *PYINFRA, inventory, "deploy.py", *LOUD)
            held = looks.answer(f"cat {RUN}/{NAME}", user="root")
            assert held == marked, "the secret did not arrive"
            step("failed deploy", False, *PYINFRA, inventory, "deploy.py", *LOUD, "--data", "gateway.entrypoint=/none")
            step("crash", False, *PYINFRA, inventory, str(crash), *LOUD)
            step("deploy again", True, *PYINFRA, inventory, "deploy.py", "-y")
            step("rotate", True, *SIGNALBOX, "secrets", "rotate-gateway-key", inventory, "-v")
        gateway_keys.append(looks.answer(THEIR_GATEWAY_KEY, user="root"))
        assert len(set(gateway_keys)) == 2, "the gateway's key was not rotated"
        _nowhere(search.found(marked, layers=True))
        for key in gateway_keys:
            _nowhere(search.found(key))
        return {
            **{f"{name}, exit status": status for name, status in ended.items()},
            "programs traced on the controller": search.seen["controller's argv"].count("execve("),
            "programs traced on the host": search.seen["host's argv"].count("execve("),
            "found": "nowhere, nor either key of the gateway",
            "control": _control(search, layers=True),
        }
    finally:
        search.close()
        place.cleanup()
        stage.site().deploy().ok()

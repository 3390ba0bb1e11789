"""A marked secret goes every way that secrets go, and is looked for everywhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from signalbox.facts.secrets import reader
from signalbox.init.questions import QUESTIONS
from signalbox.settings.layers import defaults, merge
from tests.drills import looks, traces
from tests.drills.drill import Drill, Figures
from tests.drills.init import person_at, right
from tests.drills.record import PROJECT
from tests.drills.stage import HOST, Stage
from tests.drills.tampers import THEIR_GATEWAY_KEY
from tests.drills.terminal import environment
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
# The control's files on the host: for a moment and for longer, for all to read, a shell's history, and any other.
DECOYS = ("/tmp/decoy", "/usr/local/share/decoy", "/root/.decoy_history", "/root/decoy")  # noqa: S108 (the host's)
SEEN = ("stdout", "stderr", "plan's JSON", "argv, controller", "argv, host", "writes to files, host")
# Where a file of the host that holds a secret belongs: its path, and its mode.
FILES = (
    ("shell history, host", r"_history$", r".*"),
    ("temporary files, host", r"^/(tmp|var/tmp|run)/", r".*"),
    ("image layers and container storage", r"/\.local/share/docker/", r".*"),
    ("world-readable files, host", r"", r".*[4567]"),
    ("other files, host", r"", r".*[0123]"),
)
LOUD = ("-y", "-vvv", "--diff", "--debug")
RUN = f"/run/user/$(id -u {looks.GATEWAY_USER})/litellm"


def _mark() -> str:
    return f"sk-ant-drill-{secrets.token_hex(16)}"


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
        self.seen = dict.fromkeys(SEEN, "")
        self.statuses: list[int] = []
        self._by_design = looks.answer(f"echo {RUN}", user="root")  # where the gateway's start decrypts to
        looks.mark()

    def run(self, *command: str, stdin: str = "", cwd: Path = PROJECT, **environment: str) -> str:
        """Run a command of the controller, traced; return its output."""
        own = {"XDG_STATE_HOME": str(self.place), "TMPDIR": str(self.place), "PYINFRA_PROGRESS": "off"}
        ran = traces.run(command, cwd, {**own, **environment}, stdin)
        self.seen["stdout"] += ran.stdout
        self.seen["stderr"] += ran.stderr
        self.seen["argv, controller"] += ran.started
        if "--json" in command:
            self.seen["plan's JSON"] += ran.stdout
        self.statuses.append(ran.status)
        return ran.stdout + ran.stderr

    @contextmanager
    def host_traced(self) -> Iterator[None]:
        """Trace what is started on the host, and what is written there."""
        with traces.HostTrace() as trace:
            yield
        self.seen["argv, host"] += trace.started()
        lines = trace.written().splitlines()
        self.seen["writes to files, host"] += "\n".join(line for line in lines if self._by_design not in line)

    def found(self, value: str, *, layers: bool = False) -> dict[str, list[str]]:
        """Return where the secret, or what tells it, was found; `layers`: images and other container storage too."""
        texts = {
            **self.seen,
            "pyinfra's log": _text([PROJECT / "pyinfra-debug.log"]),
            "shell history, controller": _text(sorted(Path.home().glob(".*_history"))),
            "other files, controller": _text(path for path in self.place.rglob("*") if path.is_file()),
            "docker inspect": _of_docker("docker ps -a --no-trunc; docker inspect $(docker ps -aq; docker images -q)"),
            "docker's logs and image history": _of_docker(
                "for i in $(docker image ls -q); do docker image history --no-trunc $i; done;"
                " for c in $(docker ps -aq); do docker logs $c; done"
            ),
        }
        found = {where: [form for form in _forms(value) if form in text] for where, text in texts.items()}
        count, *lines = self._on_disk(value, layers)
        found["journal"] = [f"{count} entries"] if int(count) else []
        files = [tuple(line.split(" ", 1)) for line in lines]
        for where, pattern, modes in FILES:
            found[where] = [path for mode, path in files if re.search(pattern, path) and re.fullmatch(modes, mode)]
        return found

    def _on_disk(self, value: str, layers: bool) -> list[str]:
        """Return how many entries of the host's journal hold it, and "mode path" of each file there that does."""
        # What was written since the search began can hold the secret; images are looked through from the first layer.
        files = "find / \\( -path /proc -o -path /sys -o -path /dev \\) -prune -o -type f -newercm /run/drill-mark"
        files += f" -print0 | xargs -0 -r grep -laF -f {PATTERNS}"
        if layers:
            files = f"grep -rlaF --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev -f {PATTERNS} /"
        entries = f"journalctl --no-pager -o export | grep -caF -f {PATTERNS} || true"
        show = f"{{ {files} || true; }} 2>/dev/null | xargs -r -d '\\n' stat -c '%a %n' 2>/dev/null || true"
        look = f"umask 077; cat > {PATTERNS}; {entries}; {show}; rm {PATTERNS}"
        patterns = "".join(f"{form}\n" for form in _forms(value))
        count, *lines = hosts.run(HOST, look, stdin=patterns, timeout=400).stdout.splitlines()
        skipped = (f"600 {PATTERNS}", f"600 {self._by_design}/")
        return [count, *(line for line in lines if not line.startswith(skipped))]

    def close(self) -> None:
        """Remove what the controller has written."""
        (PROJECT / "pyinfra-debug.log").unlink(missing_ok=True)
        self._directory.cleanup()


def _text(paths: Iterable[Path]) -> str:
    return "\n".join(path.read_text(errors="replace") for path in paths if path.is_file())


def _of_docker(commands: str) -> str:
    """Return what these commands say of the Docker of each user."""
    each = "".join(
        f"runuser -u {user} -- env DOCKER_HOST=unix:///run/user/$(id -u {user})/docker.sock sh -c '{commands}' 2>&1;"
        for user in ("claude", looks.GATEWAY_USER)
    )
    return hosts.run(HOST, each, check=False, timeout=240).stdout


def _nowhere(found: Mapping[str, list[str]]) -> None:
    there = {where: what for where, what in found.items() if what}
    assert not there, f"the secret was found: {there}"


def _control(search: Search, *, layers: bool = False) -> str:
    """Plant another secret in each place: each search must find it."""
    decoy = _mark()
    with search.host_traced():
        hosts.run(HOST, ["/bin/true", decoy])
        hosts.run(HOST, f"cat > {DECOYS[0]}; rm {DECOYS[0]}", stdin=decoy)  # there for a moment alone
    search.run("/bin/echo", decoy)
    search.run("sh", "-c", f"echo {decoy} >&2")
    search.seen["plan's JSON"] += json.dumps({"name": decoy})
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
        _nowhere(search.found(marked))
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
    crash = search.place / "crash.py"
    crash.write_text("exec(open('deploy.py').read())\nraise RuntimeError('crash')\n")
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
            step("init", True, *SIGNALBOX, "init", *words, cwd=project, **environment(project, home), **{NAME: marked})
            for written in ("secrets", "group_data", "inventory.py", ".signalbox"):
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
            step("failed deploy", False, *PYINFRA, inventory, "deploy.py", *LOUD, "--data", "gateway.entrypoint=/none")
            step("crash", False, *PYINFRA, inventory, str(crash), *LOUD)
            step("deploy again", True, *PYINFRA, inventory, "deploy.py", "-y")
            step("secrets rotate-gateway-key", True, *SIGNALBOX, "secrets", "rotate-gateway-key", inventory, "-v")
        gateway_keys.append(looks.answer(THEIR_GATEWAY_KEY, user="root"))
        assert len(set(gateway_keys)) == 2, "the gateway's key was not rotated"
        _nowhere(search.found(marked, layers=True))
        for key in (*gateway_keys, *vault_keys):
            _nowhere(search.found(key))
        return {
            **{f"{name}, exit status": status for name, status in ended.items()},
            "programs traced on the controller": search.seen["argv, controller"].count("execve("),
            "programs traced on the host": search.seen["argv, host"].count("execve("),
            "found": "nowhere, nor any key of the gateway or of the vault, old or new",
            "control": _control(search, layers=True),
        }
    finally:
        search.close()
        place.cleanup()
        stage.site().deploy().ok()

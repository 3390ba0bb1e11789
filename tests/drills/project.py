"""A project of a person's own: from the wheel alone to a working host, beside a clone, and out of one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from signalbox.init.questions import QUESTIONS
from tests import installed
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage, lab_host
from tests.installed import Machine
from tests.lab import hosts, services
from tests.lab.instance import Lab

drill = Drill(
    "project",
    "a person's own project: by the wheel alone, beside a clone, and out of one",
    "From an empty directory and the wheel alone to a working `claude-routed`; then a newer wheel: no conflict, plan, "
    "deploy. From a clone: `git status` stays clean. An existing in-clone fleet moved out: the plan is clean before "
    "and after. What `uv run` installs for a user: packages and MB, before and after.",
)

BARE = lab_host("own")
NEWER = "0.2.0"
_ENTRY = "- `backends.X.url` may be more than it was (a line for the drill)."


@contextmanager
def person() -> Iterator[tuple[Machine, Path]]:
    """Give a machine with the lab's key in its home, and a directory for what is built."""
    with tempfile.TemporaryDirectory(prefix="signalbox-person-") as directory:
        home = Path(directory, "home")
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        for end in ("", ".pub"):
            shutil.copy(f"{Lab.current().key}{end}", home / ".ssh" / f"id_ed25519{end}")
        yield Machine(home), Path(directory)


def answers(host: str) -> dict[str, str]:
    """Return what a person answers on a host in the lab."""
    lab = services.lab_settings()
    known = {question.id for question in QUESTIONS if question.secret is None}
    given = {
        "host": hosts.address(host),
        "fingerprint": "yes",
        "backend": str(lab["backends"]["lmstudio"]["url"]),
        "network": "mirrors",
        "ca_certificates": ", ".join(lab["extra_ca_certificates"]),
        "api_url": str(lab["clouds"]["anthropic"]["url"]),
        **{f"mirror_{name}": str(url) for name, url in lab["mirrors"].items()},
    }
    return {name: answer for name, answer in given.items() if name in known}


def secrets() -> dict[str, str]:
    """Return the one key that the lab's cloud takes."""
    return {"ANTHROPIC_DIRECT_KEY": services.environment()["ANTHROPIC_DIRECT_KEY"]}


def git(directory: Path, *words: str) -> str:
    """Run git there, as somebody; AssertionError with its words where it fails."""
    who = ["-c", "user.name=drill", "-c", "user.email=drill@localhost", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", "-C", str(directory), *who, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr[-1000:]}"
    return done.stdout


def said(done: subprocess.CompletedProcess[str], *statuses: int) -> str:
    """Return stdout; AssertionError with what a command said unless it ended so."""
    assert done.returncode in statuses, f"{done.args}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def asks_claude(machine: Machine, host: str) -> str:
    """Return what claude-routed answers to a prompt, by SSH as the service user."""
    known_hosts = f"UserKnownHostsFile={Lab.current().state}/known_hosts"
    words = [
        "ssh", "-i", str(machine.home / ".ssh/id_ed25519"), "-o", known_hosts, "-o", "BatchMode=yes",
        f"claude@{hosts.address(host)}", "claude-routed -p 'say hello'",
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def init(machine: Machine, program: tuple[str, ...], cwd: Path, host: str, *more: str) -> None:
    """Make a project by answers from a file; a plan that has something to do, or nothing, is right."""
    (machine.home / "answers.yaml").write_text(yaml.safe_dump(answers(host)))
    words = (*program, "init", "--yes", "--no-deploy", "--answers", str(machine.home / "answers.yaml"), *more)
    said(machine.run(*words, cwd=cwd, secrets=secrets()), 0, 2)


@drill.cell("wheel")
def wheel(stage: Stage) -> Figures:
    """From an empty directory and the wheel alone to an answer of claude-routed; then a newer wheel, and remove."""
    stage.bare(BARE)
    with person() as (machine, place):
        first = installed.wheel(installed.tree(place / "source"), place / "first")
        started = time.monotonic()
        machine.install(first)
        tool = installed.size(machine.home / ".local/share/uv/tools/signalbox")
        fleet = place / "fleet"
        fleet.mkdir()
        init(machine, ("signalbox",), fleet, BARE)
        git(fleet, "init", "--quiet")
        git(fleet, "add", ".")
        git(fleet, "commit", "--quiet", "--message", "a fleet")

        def run(*words: str) -> subprocess.CompletedProcess[str]:
            return machine.run(*words, cwd=fleet, timeout=900)

        said(run("signalbox", "plan"), 2)
        said(run("signalbox", "deploy", "--yes"), 0)
        told = asks_claude(machine, BARE)
        seconds = time.monotonic() - started
        said(run("signalbox", "plan"), 0)
        said(run("signalbox", "verify", "--quick"), 0, 2)
        said(run("uv", "run", "--quiet", "--locked", "pyinfra", "inventory.py", "deploy.py", "--dry"), 0)
        project = installed.size(fleet / ".venv")
        assert git(fleet, "status", "--porcelain") == "", "deploys left something in the project"

        second = installed.wheel(_changed(place / "source"), place / "second", NEWER)
        shown = said(run("signalbox", "upgrade", "--self", str(second), "--yes"), 0)
        assert _ENTRY[2:] in shown, shown
        changed = git(fleet, "status", "--porcelain", "--untracked-files=all").split("\n")
        names = sorted(line[3:] for line in changed if line)
        assert names == ["pyproject.toml", "uv.lock", f"wheels/{second.name}"], names
        plan = run("signalbox", "plan", "--json")
        assert "that one goes on" in plan.stderr, plan.stderr[-1000:]
        drift = json.loads(said(plan, 0, 2))["hosts"][0]["changes"]
        said(run("signalbox", "deploy", "--yes"), 0)
        said(run("signalbox", "plan"), 0)
        asks_claude(machine, BARE)

        def answers_again() -> None:
            asks_claude(machine, BARE)

        said(run("signalbox", "remove", "--yes"), 0)
        control = must_fail(answers_again, "everything removed")
    before = installed.size((installed.PROJECT / ".venv").resolve())
    return {
        "claude-routed answered": f"{seconds:.0f} s after the wheel: {told}",
        "newer wheel": f"3 files of the project; the plan had {len(drift)} changes, clean after a deploy",
        "uv run in a clone with the tests' tools": "{} packages, {} MB".format(*before),
        "uv run in a project": "{} packages, {} MB".format(*project),
        "uv tool install": "{} packages, {} MB".format(*tool),
        "control": control,
    }


@drill.cell("clone-stays-clean", fixed=True)
def clone_stays_clean(stage: Stage) -> Figures:
    """Called in a clone, init goes beside it; init, pin, upgrade, secrets, plan, deploy write nothing of the clone."""
    stage.converged()
    with person() as (machine, place):
        clone = _cloned(place)
        fleet = place / "signalbox-fleet"
        code = _program(clone)
        init(machine, code, clone, HOST)
        assert (fleet / "inventory.py").exists(), "it is not beside the clone"
        commands = (
            ("pin", "--yes"), ("upgrade", "--yes", "node"), ("secrets", "set", "WEBUI_KEY"), ("secrets", "check"),
            ("plan",), ("deploy", "--yes"), ("settings",), ("verify", "--quick"), ("usage",),
        )  # fmt: skip
        for words in commands:
            said(machine.run(*code, *words, cwd=fleet, timeout=900, answer="a word\n"), 0, 2)
        said(machine.run(*code, "plan", cwd=fleet), 0)
        for words in (("pin", "--yes"), ("upgrade", "--yes")):
            refused = machine.run(*code, *words, cwd=clone)
            assert refused.returncode == 1, refused
            assert "stays as it is" in refused.stderr, refused.stderr

        def clean() -> None:
            assert git(clone, "status", "--porcelain") == "", git(clone, "status", "--porcelain")

        clean()
        (clone / "group_data/all.py").write_text("")
        control = must_fail(clean, "group_data/all.py of the clone written")
    return {"commands": len(commands) + 1, "refused in the clone": "pin, upgrade", "control": control}


@drill.cell("moved-out")
def moved_out(stage: Stage) -> Figures:
    """A fleet that lives in a clone is moved out by one command: the plan is clean before and after."""
    stage.converged()
    with person() as (machine, place):
        clone, made, fleet = _cloned(place), place / "made", place / "fleet"
        code = _program(clone)
        init(machine, code, place, HOST, "--directory", str(made))
        # As earlier versions had it: the pins in the clone's own group_data/all.py, all else beside it.
        shutil.copytree(made / "secrets", clone / "secrets")
        for name in ("inventory.py", "group_data/claude_hosts.py"):
            shutil.copy2(made / name, clone / name)
        with (clone / "group_data/all.py").open("a") as everything:
            everything.write("\n" + (made / "group_data/pins.py").read_text().split('"""\n')[1])
        changed = git(clone, "status", "--porcelain").splitlines()
        before = json.loads(said(machine.run(*code, "plan", "--json", cwd=clone), 0))
        said(machine.run(*code, "init", "--yes", "--move", str(fleet), cwd=clone), 0)
        left = git(clone, "status", "--porcelain")
        assert left == "", left
        after = json.loads(said(machine.run(*code, "plan", "--json", cwd=fleet), 0))
        assert (before["verdict"], after["verdict"]) == ("clean", "clean")

        def still_clean() -> None:
            assert machine.run(*code, "plan", cwd=fleet).returncode == 0

        (fleet / "group_data/all.py").write_text('base = {"timezone": "Europe/Berlin"}\n')
        control = must_fail(still_clean, "a setting that differs")
    return {
        "in the clone before": f"{len(changed)} changes, after: none",
        "plan before": f"clean, {before['hosts'][0]['operations']} operations",
        "plan after": f"clean, {after['hosts'][0]['operations']} operations",
        "control": control,
    }


def _cloned(place: Path) -> Path:
    """Return a clone of what people clone: this tree, as one commit."""
    source = installed.tree(place / "shipped")
    git(source, "init", "--quiet")
    git(source, "add", ".")
    git(source, "commit", "--quiet", "--message", "as shipped")
    git(place, "clone", "--quiet", str(source), "signalbox")
    return place / "signalbox"


def _program(clone: Path) -> tuple[str, ...]:
    """Return what runs a clone's own code, with the environment of this one."""
    return ("env", f"PYTHONPATH={clone}", sys.executable, "-c", "from signalbox.commands.cli import main; main()")


def _changed(source: Path) -> Path:
    """Have a tree's changelog tell one thing more, of a setting that the person has."""
    path = source / "CHANGELOG.md"
    path.write_text(path.read_text().replace("### Added\n", f"### Added\n{_ENTRY}\n", 1))
    return source

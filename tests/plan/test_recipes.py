"""The recipes of docs/fleet.md, as they stand there: scheduled plans, pull mode, made inventories, several clouds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.plan.simulated import PROJECT
from tests.plan.test_plan_command import Place

PAGE = (PROJECT / "docs" / "fleet.md").read_text()
PULL = PROJECT / "examples" / "pull" / "signalbox-pull"


def block(language: str) -> str:
    """Return the one block of the page in this language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)
    return str(found)


class Shell:
    """A shell in a place of its own, in which `uv run --frozen signalbox` is this very Signalbox."""

    def __init__(self, place: Path) -> None:
        self.place, self.bin = place, place / "bin"
        self.bin.mkdir()
        program = f'{sys.executable} -c "from signalbox.commands.cli import main; main()"'
        self.shim("uv", f'shift 2; shift; PYTHONPATH={PROJECT} exec {program} "$@"')

    def shim(self, name: str, script: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        own = {"PATH": f"{self.bin}:{os.environ['PATH']}", "PYTHONPATH": str(PROJECT), "HOME": str(self.place)}
        return subprocess.run(["sh", "-c", script], cwd=self.place, env={**os.environ, **own, **environment}, text=True,
                              capture_output=True, timeout=120, check=False)  # fmt: skip


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


class TestCron:
    def line(self, place: Path) -> str:
        line = next(line for line in block("cron").splitlines() if line and not re.match(r"#|\w+=", line))
        command = " ".join(line.split()[6:])  # five fields of time, and the user
        assert "/srv/signalbox" in command
        return command.replace("/srv/signalbox", str(place))

    def run(self, shell: Shell) -> subprocess.CompletedProcess[str]:
        """Run it as cron does: with what the table sets, HOME, and nothing else; uv is where its PATH finds it."""
        given = dict(re.findall(r"^(\w+)=(.*)$", block("cron"), re.M))
        path = given["PATH"].replace("/usr/local/bin", str(shell.bin))
        assert str(shell.bin) in path
        return subprocess.run(
            ["sh", "-c", self.line(shell.place)], cwd=shell.place, text=True, capture_output=True, timeout=120,
            env={**given, "PATH": path, "HOME": str(shell.place)}, check=False,
        )  # fmt: skip

    def test_it_says_nothing_where_all_is_well(self, shell: Shell) -> None:
        Place(shell.place).hosts(box="yes")
        done = self.run(shell)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_it_mails_drift_and_what_is_unknown(self, shell: Shell) -> None:
        Place(shell.place).hosts(drifted="no", off={"success": False})
        done = self.run(shell)
        assert done.returncode == 1
        assert "@fake/drifted: drift" in done.stdout
        assert "@fake/off: unknown" in done.stdout


class TestCI:
    def job(self) -> dict[str, Any]:
        (job,) = yaml.safe_load(block("yaml")).values()
        return dict(job)

    def run(self, shell: Shell) -> subprocess.CompletedProcess[str]:
        """Run the job with a key of its own, and tell on stderr which keys the agent had."""
        shell.run("ssh-keygen -q -t ed25519 -N '' -C of-the-job -f key && chmod 644 key")
        ends = "trap 'ssh-add -l >&2; ssh-agent -k' EXIT"
        steps = [*self.job()["before_script"], ends, *self.job()["script"]]
        return shell.run("set -e\n" + "\n".join(steps), SSH_KEY=str(shell.place / "key"))

    def test_drift_fails_the_job_and_is_in_the_report(self, shell: Shell) -> None:
        Place(shell.place).hosts(drifted="no", sound="yes")
        done = self.run(shell)
        assert done.returncode == 2, done.stderr
        assert "of-the-job (ED25519)" in done.stderr
        report = shell.place / self.job()["artifacts"]["reports"]["junit"]
        assert 'name="@fake/drifted"' in report.read_text()
        assert self.job()["artifacts"]["when"] == "always"

    def test_a_clean_fleet_passes(self, shell: Shell) -> None:
        Place(shell.place).hosts(sound="yes")
        assert self.run(shell).returncode == 0


@pytest.mark.skipif(os.getuid() != 0, reason="only root has a checkout that is root's alone")
class TestPull:
    """The script that the timer starts, on real signed commits; in place of uv and pyinfra a program that tells."""

    @pytest.fixture
    def shell(self, tmp_path: Path) -> Shell:
        shell = Shell(tmp_path)
        shell.shim("uv", f'echo "$@" >> {tmp_path}/deployed')
        for key in ("listed", "other"):
            shell.run(f"ssh-keygen -q -t ed25519 -N '' -f {key}")
        shell.run('echo "ops $(cat listed.pub)" > signers; chmod 644 signers; umask 022; git init -q -b main origin')
        self.commit(shell, "first", "listed")
        shell.run("umask 022; git clone -q origin checkout")
        return shell

    def commit(self, shell: Shell, name: str, key: str | None) -> None:
        sign = f"-c gpg.format=ssh -c user.signingkey={shell.place}/{key}.pub -c commit.gpgsign=true" if key else ""
        who = "-c user.name=ops -c user.email=ops@example.org"
        done = shell.run(f"cd origin && echo {name} > file && git add file && git {who} {sign} commit -q -m {name}")
        assert done.returncode == 0, done.stderr

    def pull(self, shell: Shell) -> subprocess.CompletedProcess[str]:
        return shell.run(f"{PULL} {shell.place}/checkout {shell.place}/signers")

    def refused(self, shell: Shell, words: str) -> None:
        before = (shell.place / "checkout" / "file").read_text()
        done = self.pull(shell)
        assert done.returncode != 0
        assert words in done.stderr
        assert not (shell.place / "deployed").exists()
        assert (shell.place / "checkout" / "file").read_text() == before

    def test_a_commit_of_a_listed_key_is_deployed(self, shell: Shell) -> None:
        self.commit(shell, "second", "listed")
        done = self.pull(shell)
        assert done.returncode == 0, done.stderr
        assert (shell.place / "checkout" / "file").read_text() == "second\n"
        deployed = (shell.place / "deployed").read_text().splitlines()
        assert deployed == [
            "sync --frozen --no-dev --quiet",
            "run --frozen --no-dev pyinfra examples/pull/inventory.py deploy.py -y",
        ]

    def test_a_commit_without_a_signature_is_not(self, shell: Shell) -> None:
        self.commit(shell, "second", None)
        self.refused(shell, "is signed by nobody in")

    def test_a_commit_of_another_key_is_not(self, shell: Shell) -> None:
        self.commit(shell, "second", "other")
        self.refused(shell, "is signed by nobody in")

    def test_an_older_commit_is_not(self, shell: Shell) -> None:
        self.commit(shell, "second", "listed")
        assert self.pull(shell).returncode == 0
        (shell.place / "deployed").unlink()
        shell.run("cd origin && git reset -q --hard HEAD~1")
        self.refused(shell, "does not follow on what is here")

    @pytest.mark.parametrize("path", ["checkout", "checkout/.git", "signers"])
    def test_what_others_may_write_is_not_trusted(self, shell: Shell, path: str) -> None:
        shell.run(f"chmod g+w {path}")
        self.refused(shell, "is not root's alone")
        shell.run(f"chmod g-w {path}; chown daemon {path}")
        self.refused(shell, "is not root's alone")

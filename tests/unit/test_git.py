"""What git is asked runs nothing of a repository that a stranger has made."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from signalbox import git
from signalbox.engine import deploy_scope
from signalbox.vault.keys import is_tracked

Run = Callable[..., str]
# What git runs by itself, by the configuration that names it.
TRAPS = {
    "core.fsmonitor": "{trap} fsmonitor",
    "core.hooksPath": "{hooks}",
    "core.pager": "{trap} pager",
    "core.editor": "{trap} editor",
    "core.sshCommand": "{trap} ssh",
    "core.gitProxy": "{trap} proxy",
    "core.askPass": "{trap}",
    "credential.helper": "!{trap} credential",
    "diff.external": "{trap} external",
    "diff.trap.textconv": "{trap} textconv",
    "diff.trap.command": "{trap} command",
    "filter.trap.clean": "{trap} clean",
    "filter.trap.smudge": "{trap} smudge",
    "filter.trap.required": "true",
    "gpg.program": "{trap}",
    "alias.diff-index": "!{trap} alias",
    "alias.rev-parse": "!{trap} alias",
    "protocol.ext.allow": "always",
    "remote.origin.url": "ext::{trap} fetch",
    "remote.origin.promisor": "true",
    "extensions.partialClone": "origin",
    "submodule.recurse": "true",
    "status.submoduleSummary": "true",
}


class Hostile:
    """A repository whose every program writes its name into a file."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "project"
        self.ran = directory / "ran"
        self.trap = directory / "trap"
        self.trap.write_text(f'#!/bin/sh\necho "$0 $*" >> {self.ran}\ncat\n')
        self.trap.chmod(0o755)
        self.path.mkdir()
        self.git("init", "--quiet")
        for name in ("key", "inventory.py", "other"):
            (self.path / name).write_text(f"{name}\n")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "one")
        # Laid when all is there, as in an archive with a .git in it.
        (self.path / ".git/info/attributes").write_text("* filter=trap diff=trap\n")
        hooks = self.path / "hooks"
        hooks.mkdir()
        for hook in ("post-index-change", "fsmonitor-watchman", "reference-transaction", "post-checkout"):
            (hooks / hook).symlink_to(self.trap)
        config = ["[core]\n\trepositoryformatversion = 1\n"]
        for name, value in TRAPS.items():
            section, _, key = name.rpartition(".")
            head, _, sub = section.partition(".")
            shown = value.format(trap=self.trap, hooks=hooks)
            config.append(f'[{head}{f" {chr(34)}{sub}{chr(34)}" if sub else ""}]\n\t{key} = "{shown}"\n')
        with (self.path / ".git/config").open("a") as file:
            file.write("".join(config))

    def git(self, *words: str) -> str:
        """Run git as anybody does."""
        person = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        done = subprocess.run(["git", *person, *words], cwd=self.path, check=True, capture_output=True, text=True)
        return done.stdout


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hostile:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    made = Hostile(tmp_path)
    monkeypatch.chdir(made.path)
    return made


def answers(hostile: Hostile) -> tuple[str, str, bool]:
    """Return what we ask of a repository in all."""
    deploy_scope._checked_out.cache_clear()
    found = deploy_scope.commit(), deploy_scope.code(), is_tracked(hostile.path / "key")
    deploy_scope._checked_out.cache_clear()
    return found


@pytest.mark.parametrize("change", ["none", "touched", "edited", "staged", "object-gone"])
def test_nothing_of_a_strangers_repository_is_run(hostile: Hostile, change: str) -> None:
    if change == "touched":
        os.utime(hostile.path / "other", (1, 1))
    elif change != "none":
        (hostile.path / "other").write_text("edited\n")
    if change == "staged":
        subprocess.run(["git", "-c", "core.fsmonitor=false", "-c", "filter.trap.clean=cat", "-c",
                        "core.hooksPath=/dev/null", "add", "other"], check=True)  # fmt: skip
        hostile.ran.unlink(missing_ok=True)
    if change == "object-gone":  # a lazy fetch would get it, by the remote's own words
        for tree in sorted((hostile.path / ".git/objects").glob("??/*")):
            tree.rename(hostile.path / tree.name)
    commit, code, tracked = answers(hostile)
    assert not hostile.ran.exists(), hostile.ran.read_text()
    assert tracked
    if change == "object-gone":
        return
    dirty = change in ("edited", "staged")
    assert len(commit) == 12 + dirty
    assert commit.endswith("+") is dirty
    assert len(code) == (25 if dirty else 12)


def test_the_traps_are_real(hostile: Hostile) -> None:
    """As anybody would ask, programs of it run: the filter, the monitor, the hook, the external difference."""
    os.utime(hostile.path / "other", (1, 1))
    for words in (["status"], ["diff", "HEAD"], ["describe", "--always", "--dirty"], ["ls-files"]):
        subprocess.run(["git", *words], capture_output=True, check=False, timeout=60)
    ran = hostile.ran.read_text()
    assert all(f" {name}" in ran for name in ("clean", "fsmonitor")), ran


def test_a_state_of_tracked_files_has_a_hash_of_its_own(hostile: Hostile) -> None:
    other, seen = hostile.path / "other", set()
    kept = other.read_text()
    for content, mode in ((kept, 0o644), ("a", 0o644), ("b", 0o644), ("b", 0o755)):
        other.write_text(content)
        other.chmod(mode)
        seen.add(answers(hostile)[1])
    other.unlink()
    seen.add(answers(hostile)[1])
    other.symlink_to("key")
    seen.add(answers(hostile)[1])
    other.unlink()
    os.mkfifo(other)
    seen.add(answers(hostile)[1])
    assert len(seen) == 7
    other.unlink()
    other.write_text(kept)
    assert answers(hostile)[0] == git.state()[0] != ""


def test_what_git_itself_calls_unchanged_or_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that a filter has changed since, as git-crypt does, one of an older time, and one with another mode."""
    monkeypatch.chdir(tmp_path)
    person = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "filter.upper.clean=tr a-z A-Z"]
    (tmp_path / "filtered").write_text("lower\n")
    (tmp_path / ".gitattributes").write_text("filtered filter=upper\n")
    for name in ("filtered", ".gitattributes"):
        os.utime(name, (1_700_000_000, 1_700_000_000))  # else it is looked at, as something just now written
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run(["git", *person, *words], check=True)
    assert git.state()[1] == ""
    (tmp_path / ".gitattributes").chmod(0o755)
    assert git.state()[1]
    (tmp_path / ".gitattributes").chmod(0o644)
    assert git.state()[1] == ""
    os.utime("filtered", (1_600_000_000, 1_600_000_000))
    assert git.state()[1]


def test_the_environment_points_nowhere_else(hostile: Hostile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = answers(hostile)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", f"{hostile.trap} environment")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", f"{hostile.trap} environment")
    assert answers(hostile) == before
    assert not hostile.ran.exists()


def test_a_bare_repository_in_the_work_tree_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "looks-like-one")], check=True)
    monkeypatch.chdir(tmp_path / "looks-like-one")
    assert git.git("rev-parse", "--git-dir").returncode != 0

"""A choice of ours in a person's own JSON file: made and taken away by real shell, and nothing else of it changes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from signalbox.shell.manifest import Entry
from signalbox.shell.removal import choice_made, removal

KEY = "cleanupPeriodDays"
MADE = f"s.update({{{KEY!r}: 3650}})"


def run(script: object) -> int:
    return subprocess.run(["sh", "-c", str(script)], check=False).returncode


def taken(path: Path) -> int:
    (script,) = removal([Entry("choice", str(path), f"{KEY}=3650")])
    return run(str(script).rpartition(" && rm ")[0])  # forgetting is the manifest's


def test_a_person_who_has_no_such_file_has_none_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    assert run(choice_made(str(path), MADE)) == 0
    assert json.loads(path.read_text()) == {KEY: 3650}
    assert path.stat().st_mode & 0o777 == 0o600
    assert taken(path) == 0
    assert not path.exists()


def test_all_else_stays_as_it_is(tmp_path: Path) -> None:
    kept, link = tmp_path / "kept.json", tmp_path / "settings.json"
    own = {"model": "sonnet", "env": {"GRÜSSE": "kumquat"}, "permissions": {"allow": ["Bash(ls *)"]}}
    kept.write_text(json.dumps(own, ensure_ascii=False))
    kept.chmod(0o640)
    link.symlink_to(kept)
    assert run(choice_made(str(link), MADE)) == 0
    assert json.loads(kept.read_text()) == {**own, KEY: 3650}
    assert "GRÜSSE" in kept.read_text()
    assert (link.is_symlink(), kept.stat().st_mode & 0o777) == (True, 0o640)
    assert taken(link) == 0
    assert json.loads(kept.read_text()) == own


@pytest.mark.parametrize("text", ['{"cleanupPeriodDays": 7}', "{", "[]", '{"cleanupPeriodDays": "3650"}'])
def test_what_is_the_persons_own_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(text)
    assert taken(path) == 0
    told = path.read_text()
    assert told == text or json.loads(told) == json.loads(text)


def test_what_cannot_be_read_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text("{ half")
    assert run(choice_made(str(path), MADE)) != 0
    assert path.read_text() == "{ half"
    assert list(tmp_path.iterdir()) == [path]

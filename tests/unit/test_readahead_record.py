"""A record is code that will run as root: only one that is wholly ours, and whole, is used."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signalbox.readahead import record
from signalbox.readahead.question import Privileges, Question
from signalbox.readahead.record import MAX_BYTES, MAX_ENTRIES, Record

ASKED = [Question("cat /etc/hostname"), Question("id", Privileges(True)), Question("id", Privileges(True, "claude"))]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    kept = Record("box1", "/site/deploy.py")
    kept.save(ASKED)
    return kept


def test_what_is_saved_is_loaded_in_its_order_and_private(kept: Record) -> None:
    assert Record("box1", "/site/deploy.py").load() == ASKED
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.path.parent.stat().st_mode) == 0o700


def test_hosts_and_deploys_have_records_of_their_own(kept: Record) -> None:
    assert Record("box2", "/site/deploy.py").load() == []
    assert Record("box1", "/other/deploy.py").load() == []
    assert len({Record(host, deploy).path for host, deploy in (("a", "bc"), ("ab", "c"))}) == 2
    assert kept.path.parent == Record("box2", "/x").path.parent


def _content(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return write


def _entry(**values: object) -> Callable[[Path], object]:
    return _content(lambda content: content["questions"][0].update(values))


def _linked(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir(0o700)


def _directory_is_a_link(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))
    path.parent.symlink_to(path.parent.with_name("elsewhere"))


TAMPERED: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_text(""),
    "garbage": lambda path: path.write_bytes(os.urandom(300)),
    "cut off": lambda path: path.write_text(path.read_text()[:-20]),
    "not an object": lambda path: path.write_text("[]"),
    "another version": _content(lambda content: content.update(version=2)),
    "a version as text": _content(lambda content: content.update(version="1")),
    "another host's": _content(lambda content: content.update(host="box2")),
    "another deploy's": _content(lambda content: content.update(deploy="/other/deploy.py")),
    "a key more": _content(lambda content: content.update(results=[])),
    "a key less": _content(lambda content: content.pop("questions")),
    "a command that is none": _entry(command=["rm", "-rf"]),
    "an empty command": _entry(command=""),
    "a command with NUL": _entry(command="id\0"),
    "a command too long": _entry(command="x" * 20_000),
    "sudo as text": _entry(sudo="no"),
    "a user that is an option": _entry(sudo_user="-s"),
    "a user that is code": _entry(sudo_user="root; reboot"),
    "a user with a line break": _entry(sudo_user="root\n"),
    "an entry with a key more": _entry(password="x"),  # noqa: S106
    "too many entries": _content(lambda content: content.update(questions=content["questions"] * MAX_ENTRIES)),
    "too large": lambda path: path.write_text(path.read_text() + " " * MAX_BYTES),
    "readable by the group": lambda path: path.chmod(0o640),
    "writable by all": lambda path: path.chmod(0o602),
    "a link": _linked,
    "a second name of a file": lambda path: path.with_suffix(".second").hardlink_to(path),
    "a pipe": _fifo,
    "a directory": _directory,
    "in a directory that others write": lambda path: path.parent.chmod(0o770),
    "in a directory that is a link": _directory_is_a_link,
}


@pytest.mark.timeout(20)  # a pipe that is opened wrongly waits for ever
@pytest.mark.parametrize("name", TAMPERED)
def test_a_record_that_is_not_wholly_ours_is_not_used(kept: Record, name: str) -> None:
    TAMPERED[name](kept.path)
    assert kept.load() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away takes root")
@pytest.mark.parametrize("which", ["file", "directory"])
def test_a_record_of_another_user_is_not_used(kept: Record, which: str) -> None:
    os.chown(kept.path if which == "file" else kept.path.parent, 12345, -1)
    assert kept.load() == []


def test_a_record_in_the_place_of_another_users_is_not_written(kept: Record) -> None:
    kept.path.parent.chmod(0o777)
    kept.save(ASKED[:1])
    kept.path.parent.chmod(0o700)
    assert kept.load() == ASKED
    assert [path.name for path in kept.path.parent.iterdir()] == [kept.path.name]


def test_a_state_directory_that_cannot_be_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    Record("box1", "/site/deploy.py").save(ASKED)
    assert Record("box1", "/site/deploy.py").load() == []


def test_a_record_is_bounded_and_still_loads(kept: Record) -> None:
    kept.save([Question(f"echo {number} {'x' * 16_000}") for number in range(100)])
    loaded = kept.load()
    assert 0 < len(loaded) < 100
    assert kept.path.stat().st_size <= MAX_BYTES
    kept.save([Question(f"echo {number}") for number in range(2 * MAX_ENTRIES)])
    assert len(kept.load()) == MAX_ENTRIES


def test_a_record_of_quotes_alone_is_bounded_as_it_is_written(kept: Record) -> None:
    kept.save([Question(f"{number}" + '"' * 15_000) for number in range(100)])
    assert kept.load() != []


def test_a_replacement_that_fails_leaves_the_old_record(kept: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_source: str, _target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(record.os, "replace", broken)
    kept.save(ASKED[:1])
    assert kept.load() == ASKED
    assert [path.name for path in kept.path.parent.iterdir()] == [kept.path.name]

"""A record is code that will run as root: only one that is wholly ours, and whole, is used."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from signalbox.engine.readahead import record
from signalbox.engine.readahead.question import Privileges, Question
from signalbox.engine.readahead.record import MAX_BYTES, MAX_ENTRIES, Record
from tests.readahead.records import BROKEN

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


@pytest.mark.timeout(20)  # a pipe that is opened wrongly waits for ever
@pytest.mark.parametrize("name", BROKEN)
def test_a_record_that_is_not_wholly_ours_is_not_used(kept: Record, name: str) -> None:
    if "another user's" in name and os.geteuid():
        pytest.skip("giving files away takes root")
    BROKEN[name](kept.path)
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

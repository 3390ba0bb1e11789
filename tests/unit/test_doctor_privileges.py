"""Root has processes become users: for good, and whatever happens to one is told."""

from __future__ import annotations

import os
import pwd
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from signalbox.host.doctor import privileges
from signalbox.host.doctor.host_context import ROOT, Here
from signalbox.host.doctor.privileges import People

HERE = Here({"user": "agent", "gateway": {"user": "keeper"}}, frozenset({ROOT}))

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def test_root_has_a_process_become_the_user_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(here: Any, *_: Any) -> dict[str, Any]:
        try:
            os.setresuid(0, 0, 0)
        except PermissionError:
            return {"user": pwd.getpwuid(os.geteuid()).pw_name, "home": os.environ["HOME"], "roles": list(here.roles)}
        return {"user": "root again"}

    monkeypatch.setattr(privileges, "_served", look)
    told = People(HERE).ask_as("nobody", {"do": "look"})
    assert told == {"user": "nobody", "home": pwd.getpwnam("nobody").pw_dir, "roles": []}


def test_a_users_process_has_nothing_open_that_root_or_another_users_process_had(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def opened(*_: Any) -> dict[str, Any]:
        return {"open": [number for number in range(3, 256) if _is_open(number)]}

    monkeypatch.setattr(privileges, "_served", opened)
    ours = os.pipe()
    with (tmp_path / "of-root").open("w") as ours_too:
        told = People(HERE).ask_as("nobody", {"do": "look"})
        assert _is_open(ours_too.fileno())
    for number in ours:
        os.close(number)
    assert len(told["open"]) == 1, told  # that on which it tells


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def test_a_users_process_that_breaks_off_or_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privileges, "LIMIT", 0.5)

    def ends(how: Any) -> str:
        monkeypatch.setattr(privileges, "_served", lambda *_: how())
        return str(People(HERE).ask_as("nobody", {"do": "look"})["error"])

    assert ends(lambda: sys.exit(3)) == "the look as nobody broke off: SystemExit: 3"
    assert ends(lambda: os.kill(os.getpid(), signal.SIGKILL)) == "the look as nobody broke off"
    assert ends(lambda: time.sleep(60)) == "no end within 0.5 s"

"""What the doctor says can be followed by whoever reads it, and a file that may not be read or run is told as that."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from signalbox.host.doctor import check_lanes, check_services
from signalbox.host.doctor.check import Finding
from signalbox.host.doctor.command import cure_for
from signalbox.host.doctor.fixes import fixable
from signalbox.host.doctor.host_context import AGENT, Here

ROOTS = "As root, `loginctl enable-linger USER`, or run the deploy."
KEEPERS = "As the gateway's user, `systemctl --user restart litellm`; see `journalctl --user -u litellm -n 50`."


@pytest.mark.parametrize(
    ("cure", "me", "said"),
    [
        (ROOTS, "root", ROOTS),
        (ROOTS, "claude", "Ask the host's owner to do as root: `loginctl enable-linger USER`, or run the deploy."),
        (KEEPERS, "litellm", KEEPERS),
        (
            KEEPERS,
            "root",
            "`systemctl --user --machine=litellm@ restart litellm`; "
            "see `journalctl _SYSTEMD_USER_UNIT=litellm.service -n 50`.",
        ),
        (
            KEEPERS,
            "claude",
            "Ask the host's owner to do as litellm: `systemctl --user restart litellm`; "
            "see `journalctl --user -u litellm -n 50`.",
        ),
    ],
)
def test_a_cure_is_one_that_its_reader_can_follow(cure: str, me: str, said: str) -> None:
    assert cure_for(cure, me, "litellm") == said


def test_where_nobody_knows_the_gateways_user_the_cure_stays() -> None:
    assert cure_for(KEEPERS, "root", "") == KEEPERS


@pytest.fixture
def may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read all; so the file's mode is asked, as the kernel does for its owner."""
    owners = {os.R_OK: 0o400, os.X_OK: 0o100}
    monkeypatch.setattr(os, "access", lambda path, what: bool(os.stat(path).st_mode & owners.get(what, 0)))


@pytest.mark.usefixtures("may_not")
def test_a_key_of_the_mode_000_is_told_for_what_it_is(tmp_path: Path) -> None:
    key = tmp_path / "gateway.cred"
    key.write_text("encrypted")
    here = Here({"keys": {}}, frozenset({AGENT}))
    here = Here({"keys": {here.user: [str(key)]}}, frozenset({AGENT}))
    key.chmod(0o000)
    (found,) = check_services.keys(here)
    assert found.symptom == "secret-unreadable"
    assert found.seen.endswith("of the mode 000")
    assert fixable(found)
    key.unlink()
    assert [each.symptom for each in check_services.keys(here)] == ["secret-missing"]


@pytest.mark.usefixtures("may_not")
def test_a_launcher_that_may_not_be_run_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "launch.py"
    program.write_text("")
    program.chmod(0o755)
    where = "/usr/local/bin/claude-routed"
    monkeypatch.setattr(check_lanes, "_on_path", lambda *_: {"claude": "/c", "claude-routed": where})
    monkeypatch.setattr(os.path, "realpath", lambda _: str(program))
    here = Here({"lanes": {"lanes": {"routed": {}}}, "versions": {}}, frozenset({AGENT}))

    def found() -> list[Finding]:
        return list(check_lanes.path(here))

    assert found() == []
    program.chmod(0o644)
    assert [(each.symptom, each.path) for each in found()] == [("launcher-not-executable", str(program))]


def test_the_launcher_says_so_too(tmp_path: Path, may_not: Any) -> None:  # noqa: ARG001
    from signalbox.host.launcher import keys

    key = tmp_path / "gateway.cred"
    key.write_text("encrypted")
    key.chmod(0o000)
    with pytest.raises(keys.BadKeyError, match=r"may not be read by \w+ \(mode 000\); chmod 600 it"):
        keys.read_key({"key_file": str(key)})

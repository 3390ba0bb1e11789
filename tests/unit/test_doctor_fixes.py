"""The cures that --fix carries out: nothing of others is touched, nothing is lost, and a shell file stays whole."""

from __future__ import annotations

import os
import pwd
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from signalbox.desired import symptoms
from signalbox.host.doctor import check_services, fixes, privileges
from signalbox.host.doctor.check import Finding, Outcome, causes
from signalbox.host.doctor.fixes import CannotFixError, apply, fixable
from signalbox.host.doctor.host_context import AGENT, ROOT, Here
from signalbox.host.doctor.privileges import People
from signalbox.host.doctor.shell_files import without

EXPECTED: dict[str, Any] = {"user": "agent", "gateway": {"user": "keeper"}}
HERE = Here(EXPECTED, frozenset({ROOT}))
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a user `agent`; beside it lies a file of root's."""
    place = tmp_path / "home"
    place.mkdir()
    (tmp_path / "shadow").write_text("root's")
    mine = pwd.struct_passwd(("agent", "x", 12345, 12345, "", str(place), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", lambda name: {"agent": mine}[name])
    return place


def _not_yours(path: Path) -> Finding:
    return Finding("not-yours", f"{path} belongs to another user", str(path), {"user": "agent"}, "owners", AGENT)


@AS_ROOT
def test_a_file_of_the_home_is_given_back(home: Path) -> None:
    (home / ".claude").mkdir()
    file = home / ".claude" / "settings.json"
    file.write_text("{}")
    apply(_not_yours(file), HERE)
    apply(_not_yours(file.parent), HERE)
    assert (file.stat().st_uid, file.parent.stat().st_uid) == (12345, 12345)


@AS_ROOT
@pytest.mark.parametrize("way", ["directory", "link", "hard link", "dots", "outside"])
def test_nothing_outside_of_the_home_is_given_away(home: Path, way: str) -> None:
    target = home.parent / "shadow"
    before = target.stat().st_uid
    path = home / ".claude" / "shadow"
    if way == "directory":
        (home / ".claude").symlink_to(home.parent)
    elif way == "outside":
        path = target
    else:
        (home / ".claude").mkdir()
        if way == "link":
            path.symlink_to(target)
        elif way == "hard link":
            path.hardlink_to(target)
        else:
            path = home / ".claude" / ".." / ".." / "shadow"
    with pytest.raises(CannotFixError):
        apply(_not_yours(path), HERE)
    assert target.stat().st_uid == before


@pytest.mark.parametrize(
    ("symptom", "data"),
    [
        ("firewall-off", {"unit": "evil.service"}),
        ("fail2ban-off", {"unit": "signalbox-firewall.service"}),
        ("no-user-bus", {"user": "root"}),
        ("linger-off", {"user": "root"}),
        ("not-yours", {"user": "root"}),
    ],
)
def test_root_acts_for_its_own_units_and_users_alone(
    monkeypatch: pytest.MonkeyPatch, symptom: str, data: dict[str, str]
) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(fixes, "run", lambda *command, **_: (ran.append(command), (0, ""))[1])
    with pytest.raises(CannotFixError):
        apply(Finding(symptom, "", "/etc/shadow", data), HERE)
    assert ran == []


def _outcome(**finding: Any) -> dict[str, Any]:
    found = Finding(**{"symptom": "disk-full", "seen": "full", "check": "disk", "role": AGENT, **finding})
    return Outcome(found.check, found.role, "Space", (found,), "", 0.1).to_json()


@pytest.mark.parametrize(
    ("outcome", "taken"),
    [
        (_outcome(), True),
        (_outcome(check="firewall", role=ROOT, symptom="firewall-off"), False),
        (_outcome(check="disk", role=ROOT), False),
        (_outcome(check="no-check"), False),
        (_outcome(symptom="no-symptom"), False),
        ({**_outcome(), "check": "clock"}, False),
        ({**_outcome(), "findings": [{**_outcome()["findings"][0], "data": "unit"}]}, False),
        ({**_outcome(), "findings": [{"seen": 7}]}, False),
        ({"check": "disk"}, False),
        ("disk", False),
    ],
)
def test_a_users_process_tells_of_its_own_alone(monkeypatch: pytest.MonkeyPatch, outcome: Any, taken: bool) -> None:
    monkeypatch.setattr(privileges, "symptoms", symptoms.known)
    (told,) = People(HERE)._told("agent", {"outcomes": [outcome]})
    assert (told.check, bool(told.findings), bool(told.problem)) == (
        ("disk", True, False) if taken else ("looking", False, True)
    )


def test_what_a_user_tells_does_not_drive_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privileges, "symptoms", symptoms.known)
    (told,) = People(HERE)._told("agent", {"outcomes": [_outcome(seen="a\x1b[2Jb\x9b1mc\nd")]})
    assert told.findings[0].seen == r"a\x1b[2Jb\x9b1mc\nd"


def test_the_first_copy_of_a_file_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixes.Path, "home", lambda: tmp_path)
    monkeypatch.setattr(fixes.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(fixes.time, "strftime", lambda _: "20261128T000000")
    file = tmp_path / ".bashrc"
    file.write_text("export ANTHROPIC_API_KEY=one\nexport ANTHROPIC_BASE_URL=two\n")
    original = file.read_text()
    for number, line in enumerate(original.splitlines(), start=1):
        found = Finding("stray-variable", "", str(file), {"line": number, "text": line})
        said = apply(found, HERE)
    assert file.read_text().count("# taken out by claude-doctor: ") == 2
    assert Path(said.rpartition(": ")[2]).read_text() == original


def test_a_link_to_a_dotfile_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixes.Path, "home", lambda: tmp_path)
    (tmp_path / "dotfiles").write_text("export ANTHROPIC_API_KEY=one\n")
    (tmp_path / ".bashrc").symlink_to("dotfiles")
    line = {"line": 1, "text": "export ANTHROPIC_API_KEY=one"}
    apply(Finding("billed-subscription", "", str(tmp_path / ".bashrc"), line), HERE)
    assert (tmp_path / ".bashrc").is_symlink()
    assert (tmp_path / "dotfiles").read_text().startswith("# taken out")


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("X=1\nY=2\n", True),
        ("if true; then\nX=1\nfi\n", False),
        ("if true; then\nX=1\necho hello\nfi\n", True),
        ('X="$(\necho hello\n)"\n', False),
        ("X=1 \\\nY=2\n", False),
        ("if true; then\nX=1\n", True),  # it was broken before
    ],
)
def test_a_line_is_taken_out_where_the_shell_still_reads_the_file(tmp_path: Path, text: str, safe: bool) -> None:
    file = tmp_path / ".bashrc"
    file.write_text(text)
    number, line = next((n, line) for n, line in enumerate(text.splitlines(), start=1) if line.startswith("X="))
    assert (without(file, number, line) is not None) == safe


@pytest.mark.parametrize(
    ("finding", "promised"),
    [
        (Finding("billed-subscription", "/etc/environment, line 1", "/etc/environment"), False),
        (Finding("billed-subscription", "the shell has it"), False),
        (Finding("billed-subscription", "the manager has it", data={"manager": "ANTHROPIC_API_KEY"}), True),
        (Finding("bypassed-gateway", "managed settings", "/etc/claude-code/managed-settings.json"), False),
        (Finding("launcher-shadowed", "/opt/claude-routed", "/opt/claude-routed"), False),
        (Finding("root-docker", "not masked"), True),
        (Finding("smoke", "no"), False),
    ],
)
def test_nothing_is_promised_that_cannot_be_done(finding: Finding, promised: bool) -> None:
    assert fixable(finding) == promised


def test_causes_keep_what_a_fix_needs() -> None:
    found = _not_yours(Path("/home/agent/.claude"))
    assert [asdict(each) for each in causes([Outcome("owners", AGENT, "", (found,), "", 0.0)])] == [asdict(found)]


@pytest.mark.parametrize(
    ("active", "result", "helps"),
    [
        ("inactive", "success", True),
        ("failed", "exit-code", False),
        ("activating", "exit-code", False),  # systemd starts it again and again
        ("failed", "oom-kill", False),
    ],
)
def test_a_unit_that_fails_by_itself_is_not_started_once_more(
    monkeypatch: pytest.MonkeyPatch, active: str, result: str, helps: bool
) -> None:
    monkeypatch.setattr(check_services, "run", lambda *_, **__: (0, "litellm says what nobody knows"))
    monkeypatch.setattr(check_services, "symptoms", dict)
    monkeypatch.setattr(check_services, "listeners", lambda _: [])
    unit = {"ActiveState": active, "Result": result}
    found = check_services._why_down(unit, {"port": 4000, "config": "c"}, {"unit": "litellm.service"})
    assert (found.symptom, fixable(found)) == ("gateway-down", helps)

"""claude-session: what a name keeps, what opens it again, and what is never overwritten; tmux and systemd are stubs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalbox.host.launcher import named, session_unit
from signalbox.host.shared import output
from tests.unit.test_launcher import Gateway, Host, serving

pytestmark = pytest.mark.slow

# Stands where claude would: has a conversation as Claude Code does, and tells what it was given.
CLAUDE = """#!/bin/sh
{ for each in "$@"; do printf 'argument %s\\n' "$each"; done; env; pwd | sed s/^/PWD_IS=/; } > "$SEEN"
[ -z "$HOLDS" ] || {
    mkdir -p "$CLAUDE_CONFIG_DIR/sessions" "$CLAUDE_CONFIG_DIR/projects/$(pwd | tr -c 'A-Za-z0-9\\n' -)"
    printf '{"sessionId": "%s"}' "$HOLDS" > "$CLAUDE_CONFIG_DIR/sessions/$$.json"
    touch "$CLAUDE_CONFIG_DIR/projects/$(pwd | tr -c 'A-Za-z0-9\\n' -)/$HOLDS.jsonl"
    sleep 1.5
}
exit ${STATUS:-0}
"""
TMUX = '#!/bin/sh\ncase "$*" in *has-session*) [ -e "$HOME/runs" ];; esac\n'
SYSTEMCTL = """#!/bin/sh
trap '' XFSZ
echo "$*" >> "$HOME/asked" 2>/dev/null || :
case "$*" in *" start "*) touch "$HOME/runs";; *" stop "*) rm "$HOME/runs";; esac
[ ! -e "$HOME/no-manager" ] || { echo 'Failed to connect to bus' >&2; exit 1; }
"""
ID = "0f97aaaa-0000-4000-8000-000000000000"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with serving(Gateway) as server:
        host = Host(tmp_path, server)
        host.claude.write_text(CLAUDE)
        module = host.home / "lib/launcher/session_unit.py"
        text = module.read_text()
        for name, stub in (("tmux", TMUX), ("systemctl", SYSTEMCTL)):
            (host.home / name).write_text(stub)
            (host.home / name).chmod(0o755)
            assert f'"/usr/bin/{name}"' in text
            text = text.replace(f'"/usr/bin/{name}"', f'"{host.home}/{name}"')
        module.write_text(text)
        for command in ("session", "session-run"):
            (host.home / f"claude-{command}").symlink_to(host.home / "lib/launcher/launch.py")
        yield host


def path(host: Host, name: str = "work") -> Path:
    return host.home / named.STATE / f"{name}.json"


def record(host: Host, name: str = "work") -> dict[str, object]:
    found: dict[str, object] = json.loads(path(host, name).read_text())
    return found


def opened(host: Host, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return host.run("session", "work", "--detached", *words, **variables)


def stopped(host: Host) -> None:
    (host.home / "runs").unlink()


def said_something(host: Host) -> str:
    """Have a stopped session `work` in lane local in which something was said; return its conversation."""
    assert opened(host, "--lane", "local").returncode == 0
    conversation = str(record(host)["conversation"])
    assert host.run("session-run", "work", HOLDS=conversation).returncode == 0
    stopped(host)
    return conversation


def test_a_session_is_opened_again_as_it_was_from_wherever(host: Host) -> None:
    conversation = said_something(host)
    assert host.seen()[0] == ["--session-id", conversation]
    done = opened(host, SIGNALBOX_LANE="cloud", HOLDS="")
    assert done.returncode == 0, done.stderr
    assert f"work is opened again: lane local, in {host.home}/project, with its conversation" in done.stderr
    os.chdir(host.home)
    done = host.run("session-run", "work")
    arguments, variables = host.seen()
    assert arguments == ["--resume", conversation]
    assert (variables["SIGNALBOX_LANE"], variables["PWD_IS"]) == ("local", f"{host.home}/project")
    assert record(host)["lane"] == "local"


def test_a_conversation_that_was_changed_within_is_what_comes_back(host: Host) -> None:
    opened(host, "--lane", "local")
    host.run("session-run", "work", HOLDS=ID)  # as after /clear or /resume
    assert (record(host)["conversation"], record(host)["begun"]) == (ID, True)
    host.run("session-run", "work")
    assert host.seen()[0] == ["--resume", ID]


def test_a_session_that_was_opened_with_a_choice_goes_on_with_what_it_chose(host: Host) -> None:
    opened(host, "--lane", "local", "--", "--continue", "--model", "haiku")
    assert record(host)["conversation"] == ""
    host.run("session-run", "work", HOLDS=ID)
    assert host.seen()[0] == ["--continue", "--model", "haiku"]
    host.run("session-run", "work")
    assert host.seen()[0] == ["--resume", ID, "--model", "haiku"]


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ("fix", ""),
        ("--model haiku fix", "--model haiku"),
        ("--verbose fix", "--verbose"),
        ("--allowedTools Read Grep --model haiku fix", "--allowedTools Read Grep --model haiku"),
        ("--model=haiku fix --resume", "--model=haiku"),
        ("-r 0f97 --fork-session --effort low", "--effort low"),
        ("--session-id=0f97 --dangerously-skip-permissions fix", "--dangerously-skip-permissions"),
    ],
)
def test_a_prompt_is_not_sent_twice(arguments: str, kept: str) -> None:
    assert " ".join(named.to_go_on(arguments.split())) == kept


def test_a_session_of_another_lane_is_not_that_ones(host: Host) -> None:
    conversation = said_something(host)
    before = path(host).read_bytes()
    for runs in (False, True):
        (host.home / "runs").touch() if runs else None
        done = opened(host, "--lane", "cloud")
        assert done.returncode == output.EX_USAGE
        assert f"claude-switch continue cloud --from local --session {conversation}" in done.stderr
        assert "claude-session end work" in done.stderr
    assert "was opened with other arguments (none)" in opened(host, "--", "--model", "haiku").stderr
    assert path(host).read_bytes() == before
    assert opened(host, "--lane", "local").returncode == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"lane": "local"}',
        '{"lane": 1, "directory": "/", "boot": "", "conversation": "", "arguments": []}',
        '{"lane": "local", "directory": "/", "boot": "", "conversation": "--help", "arguments": []}',
        '{"lane": "local", "directory": "/", "boot": "", "conversation": "", "arguments": [1]}',
    ],
)
def test_a_record_that_cannot_be_read_is_said_and_stays(host: Host, text: str) -> None:
    opened(host, "--lane", "local")
    stopped(host)
    path(host, "well").write_bytes(path(host).read_bytes())
    path(host).write_text(text)
    done = opened(host, "--lane", "local")
    assert done.returncode == output.EX_CONFIG
    assert "nothing was opened or changed" in done.stderr
    assert path(host).read_text() == text
    assert not (host.home / "runs").exists()
    listed = host.run("session", "list")
    assert (listed.returncode, listed.stdout.split()[:2]) == (output.EX_CONFIG, ["well", "local"])
    assert "work.json cannot be used" in listed.stderr
    assert host.run("session", "end", "work").returncode == 0
    assert not path(host).exists()


def on_a_full_disk(host: Host, command: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command that can write no file."""
    full = host.home / "claude-full"
    full.write_text(f'#!/bin/sh\nulimit -f 0\nexec "{host.home}/claude-{command}" "$@"\n')
    full.chmod(0o755)
    return host.run("full", *words)


def test_on_a_full_disk_nothing_is_opened_and_nothing_lost(host: Host) -> None:
    said_something(host)
    before = path(host).read_bytes()
    done = on_a_full_disk(host, "session", "work", "--detached")
    assert done.returncode == output.EX_CONFIG
    assert "work.json cannot be written (File too large); nothing was opened, nothing is lost" in done.stderr
    assert on_a_full_disk(host, "session", "new", "--lane", "local").returncode == output.EX_CONFIG
    assert path(host).read_bytes() == before
    assert [each.name for each in path(host).parent.iterdir()] == ["work.json"]
    assert not (host.home / "runs").exists()


def test_a_disk_that_fills_while_it_runs_is_said_with_the_conversation(host: Host) -> None:
    said_something(host)  # so the lane's directory is there
    before = path(host).read_bytes()
    held = host.home / ".claude-local/sessions"
    (held / "ready").write_text(json.dumps({"sessionId": ID}))
    host.claude.write_text(f'#!/bin/sh\nmv {held}/ready "{held}/$$.json"; sleep 1.5\n')
    done = on_a_full_disk(host, "session-run", "work")
    assert f"work.json cannot be written (File too large); the conversation is {ID}" in done.stderr
    assert path(host).read_bytes() == before


def test_end_says_how_to_go_on_and_keeps_it_no_longer(host: Host) -> None:
    conversation = said_something(host)
    (host.home / "runs").touch()
    done = host.run("session", "end", "work")
    assert done.returncode == 0
    assert f"cd {host.home}/project; claude-local --resume {conversation}" in done.stderr
    assert not path(host).exists()
    assert "stop claude-session@work.service" in (host.home / "asked").read_text()


def test_end_of_what_there_is_not_fails(host: Host) -> None:
    done = host.run("session", "end", "nothing")
    assert (done.returncode, done.stdout) == (output.EX_USAGE, "")
    assert "there is no session nothing" in done.stderr


@pytest.mark.parametrize("words", [[], ["end"], ["work", "other"], ["work", "--lan"], ["Work"]])
def test_wrong_usage_is_said(host: Host, words: list[str]) -> None:
    assert host.run("session", *words).returncode == output.EX_USAGE


def test_one_that_has_stopped_is_listed(host: Host) -> None:
    said_something(host)
    assert host.run("session", "list").stdout.split()[::3] == ["work", "stopped"]


def test_after_a_boot_only_what_shall_comes_back_by_itself_and_all_is_kept(host: Host) -> None:
    conversation = said_something(host)
    path(host).write_text(json.dumps({**record(host), "boot": "of before"}))
    (host.home / "seen").unlink()
    assert host.run("session-run", "work").returncode == 0
    assert not (host.home / "seen").exists()
    assert "disable --quiet claude-session@work.service" in (host.home / "asked").read_text()
    host.records["sessions_reopen"] = True
    host.write()
    host.run("session-run", "work")
    assert host.seen()[0] == ["--resume", conversation]
    host.records["sessions_reopen"] = False
    host.write()
    assert opened(host).returncode == 0
    assert record(host)["boot"] == session_unit.boot()
    host.run("session-run", "work")
    assert host.seen()[0] == ["--resume", conversation]


def test_a_directory_that_is_gone_is_said(host: Host) -> None:
    said_something(host)
    path(host).write_text(json.dumps({**record(host), "directory": f"{host.home}/gone"}))
    done = opened(host)
    assert done.returncode == output.EX_CONFIG
    assert f"work is in {host.home}/gone, which cannot be entered (No such file or directory)" in done.stderr


def test_a_conversation_that_is_gone_is_said(host: Host) -> None:
    conversation = said_something(host)
    next(host.home.glob(f".claude-local/projects/*/{conversation}.jsonl")).unlink()
    done = opened(host)
    assert f"the conversation {conversation} of work is gone" in done.stderr
    assert record(host)["conversation"] != conversation


def test_a_manager_that_does_not_answer_is_said(host: Host) -> None:
    said_something(host)
    before = path(host).read_bytes()
    (host.home / "no-manager").touch()
    done = opened(host)
    assert done.returncode == output.EX_UNAVAILABLE
    assert f"systemctl restart user@{os.getuid()}.service" in done.stderr
    assert path(host).read_bytes() == before

"""Help as people look for it: --help, man, completions of bash, zsh and fish, the greeting, and wrong words."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalbox.desired.render import render
from signalbox.host.launcher import completion, helps
from signalbox.host.shared import output
from signalbox.tasks.launchers import manual_pages
from tests.unit.test_attended import Seat
from tests.unit.test_launcher import Gateway, Host, serving

COMMANDS = [*helps.TEXTS, "claude-local", "claude-cloud"]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with serving(Gateway) as server:
        host = Host(tmp_path, server)
        for command in ("logs", "escalate", "task-check", "complete", "session", "switch"):
            (host.home / f"claude-{command}").symlink_to(host.home / "lib/launcher/launch.py")
        yield host


def test_a_lanes_help_comes_before_claude_codes(host: Host) -> None:
    host.claude.write_text('#!/bin/sh\necho "of claude: $*"\n')
    done = host.run("local", "--help")
    told = done.stdout.splitlines()
    assert (done.returncode, told[0]) == (0, "claude-local [what claude takes]   Claude Code in the lane local")
    assert any(line.startswith("claude-local --private ") for line in told)
    assert f"It bills {host.records['lanes']['local']['billed']}." in told
    assert told[-1] == "of claude: --help"
    assert not any("--private" in line for line in host.run("cloud", "-h").stdout.splitlines())


def test_a_lane_that_there_is_not_has_no_help(host: Host) -> None:
    assert host.run("gone", "--help").returncode == output.EX_USAGE


def test_each_command_has_a_page_that_man_shows(host: Host, tmp_path: Path) -> None:
    pages = manual_pages(host.records["lanes"])
    assert set(COMMANDS) <= pages.keys()
    for name, text in pages.items():
        page = tmp_path / f"{name}.1"
        page.write_text(text)
        shown = subprocess.run(
            ["man", "--local-file", "--warnings", str(page)],
            env={"PATH": "/usr/bin:/bin", "MANWIDTH": "250", "LC_ALL": "C.UTF-8", "MANROFFOPT": "-c"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert shown.stderr == "", name
        told = re.sub(r".\x08", "", shown.stdout)
        for line in helps.of_all(host.records["lanes"])[name][1].splitlines():
            assert line.rstrip() in told, (name, line)


def test_roff_of_a_text_is_the_text(host: Host) -> None:
    host.records["lanes"]["local"]["billed"] = "it\n.so /etc/passwd\n'x \\fB-"
    page = manual_pages(host.records["lanes"])["claude-local"]
    assert "\n\\&.so /etc/passwd\n\\&'x \\efB\\-" in page


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("claude-session", {"list", "end", "work"}),
        ("claude-session end", {"work"}),
        ("claude-session new", {"--lane", "--detached", "--"}),
        ("claude-session new --lane", {"local", "local-private", "cloud", "routed", "api"}),
        ("claude-logs --lane", {"local", "local-private", "cloud", "routed", "api"}),
        ("claude-switch snippet", {"settings", "vscode"}),
        ("claude-switch continue cloud", {"--from", "--session", "--private-too", "--"}),
        ("claude-local --permission-mode", {"default", "acceptEdits", "plan", "auto", "bypassPermissions"}),
        ("claude-doctor", {"--json", "--fix", "--billed", "--explain", "--help"}),
        ("claude-nope", set()),
    ],
)
def test_what_may_follow(host: Host, line: str, offered: set[str]) -> None:
    sessions = host.home / ".local/state/signalbox/sessions"
    sessions.mkdir(parents=True)
    (sessions / "work.json").write_text("{}")
    assert set(host.run("complete", *line.split()).stdout.split()) == offered


def test_private_is_offered_where_there_is_such_a_lane(host: Host) -> None:
    lanes = host.records["lanes"]
    assert "--private" in completion.candidates("claude-local", [], lanes)
    assert "--private" not in completion.candidates("claude-cloud", [], lanes)


def test_each_command_offers_something(host: Host) -> None:
    for command in (*COMMANDS, "claude-doctor"):
        assert completion.candidates(command, [], host.records["lanes"]), command


def placed(host: Host, template: str, name: str) -> Path:
    """Render a template as the deploy does."""
    program = str(host.home / "lib/launcher/launch.py")
    path = host.home / name
    commands = "claude-routed claude-local"
    path.write_text(render(f"launchers/{template}", program=program, commands=commands, completed=" ".join(COMMANDS)))
    return path


def test_bash_offers_what_may_follow(host: Host) -> None:
    functions = placed(host, "shell.sh", "shell.sh")
    seat = Seat(host, "/bin/bash", "--norc", "--noprofile", "-i")
    try:
        seat.type(f". {functions}; bind 'set bell-style none'; echo rea''dy\n")
        seat.until("ready\n")
        seat.type("claude-session new --lane loca\t\t\t")
        seat.until("local +local-private")
        seat.type("\x15claude-logs --no-f\t")
        seat.until("--no-follow")
    finally:
        seat.close()


FISH = shutil.which("fish")


def fish(host: Host, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    functions = placed(host, "signalbox.fish", "signalbox.fish")
    environment = {
        "HOME": str(host.home), "PATH": f"{host.home}:/usr/bin:/bin", "SEEN": str(host.home / "seen"),
        "SIGNALBOX_LANES": str(host.home / "lanes.json"), **variables,
    }  # fmt: skip
    return subprocess.run(
        [str(FISH), "--no-config", "-c", f"source {functions}\n{script}"],
        env=environment, cwd=host.home, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@pytest.mark.skipif(not FISH, reason="there is no fish here")
def test_fish_is_switched_and_switched_back(host: Host) -> None:
    mine = 'it\'s \\ $HOME\nand "more"'
    script = """
        env | sort > before
        claude-switch local; env | sort > first; claude -p 'a  b'; claude-switch cloud
        claude-switch off; env | sort > after
        cmp before after; and echo same; cmp -s before first; or echo changed
        functions -q claude; or echo mine
        claude-switch nope; or echo no $status
    """
    done = fish(host, script, ANTHROPIC_API_KEY=mine, NO_PROXY="here")
    assert done.stdout == f"same\nchanged\nmine\nno {output.EX_USAGE}\n", done.stderr
    assert host.seen()[0] == ["-p", "a  b"]
    assert host.seen()[1]["SIGNALBOX_LANE"] == "local"


@pytest.mark.skipif(not FISH, reason="there is no fish here")
def test_fish_offers_what_may_follow(host: Host) -> None:
    functions = placed(host, "signalbox.fish", "signalbox.fish")
    text = functions.read_text().replace("if status is-interactive", "if true")
    functions.write_text(text)
    done = subprocess.run(
        [str(FISH), "--no-config", "-c", f"source {functions}; complete -C 'claude-session new --lane loc'"],
        env={"HOME": str(host.home), "PATH": "/usr/bin:/bin", "SIGNALBOX_LANES": str(host.home / "lanes.json")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == ["local", "local-private"], done.stderr


@pytest.mark.skipif(not FISH, reason="there is no fish here")
def test_the_program_called_by_fish_says_what_works_there(host: Host) -> None:
    done = fish(host, "command claude-switch local; true")
    assert "in a new fish, where it is a function: claude-switch local" in done.stderr


@pytest.mark.skipif(not shutil.which("zsh"), reason="there is no zsh here")
def test_zsh_offers_what_may_follow(host: Host) -> None:
    folder = host.home / "site"
    folder.mkdir()
    placed(host, "_signalbox", "site/_signalbox")
    seat = Seat(host, "/usr/bin/zsh", "-f", "-i")
    try:
        seat.type(f"fpath=({folder} $fpath); autoload -U compinit; compinit -u -D; echo rea''dy\n")
        seat.until("ready")
        seat.type("claude-session new --lane loca\t\t\t")
        seat.until("local-private")
    finally:
        seat.close()


def test_the_greeting_has_three_lines_that_fit_and_name_commands() -> None:
    text = render("launchers/motd", user="claude", lanes="claude-local, claude-routed")
    lines = text.splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= 110
    assert {"claude-local", "claude-session", "claude-doctor"} <= set(re.findall(r"claude-[a-z]+", text))


def test_logs_of_a_lane_that_there_is_not_fail(host: Host) -> None:
    host.records["audit"] = str(host.home / "audit.jsonl")
    host.write()
    entry = '{"time": "2026-11-30T10:00:00+00:00", "lane": "removed", "asked": "x", "session": "1"}\n'
    (host.home / "audit.jsonl").write_text(entry)
    done = host.run("logs", "--lane", "nope", "--no-follow")
    assert (done.returncode, done.stdout) == (output.EX_USAGE, "")
    assert "no lane is called 'nope' here; there are " in done.stderr
    assert host.run("logs", "--lane", "local", "--no-follow").returncode == 0
    assert "removed" in host.run("logs", "--lane", "removed", "--no-follow").stdout


def test_a_task_that_there_is_not_fails_before_it_starts(host: Host) -> None:
    done = host.run("task-check", "bad")
    assert done.returncode == output.EX_CONFIG
    assert "there is no task bad: " in done.stderr
    tasks = host.home / ".config/claude-tasks"
    tasks.mkdir()
    (tasks / "good.toml").write_text('lane = "local"\nprompt = "x"\n')
    assert host.run("task-check", "good").returncode == 0
    (tasks / "lost.toml").write_text('lane = "nope"\nprompt = "x"\n')
    assert host.run("task-check", "lost").returncode == output.EX_USAGE


def test_a_question_without_words_at_a_terminal_says_its_usage(host: Host) -> None:
    seat = Seat(host, str(host.home / "claude-escalate"))
    try:
        seat.until("claude-escalate .*PROMPT")
        assert seat.ended() == output.EX_USAGE
    finally:
        seat.shut()

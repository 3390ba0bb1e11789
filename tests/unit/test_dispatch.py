"""claude-escalate, claude-dispatch and headless tasks: what is started, with what, and what comes back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalbox.host.shared import output
from tests.unit.test_launcher import Gateway, Host, serving

# Stands where claude would: says what it was asked and where, and fails or sleeps when it is asked to.
ANSWERING = """#!/bin/sh
prompt=$(cat)
case $prompt in *sleep*) exec sleep 20;; *fail*) echo no; exit 3;; esac
case $prompt in *undone*) mkdir -p "$HOME/.local/state/signalbox/undone"
: > "$HOME/.local/state/signalbox/undone/$SIGNALBOX_RUN";; esac
files=$(ls -A | wc -l)
printf '%s in %s, lane %s, inner %s, arguments %s\\n' "$prompt" "$files" "$SIGNALBOX_LANE" "${CLAUDECODE-no}" "$*"
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with serving(Gateway) as server:
        host = Host(tmp_path, server)
        host.claude.write_text(ANSWERING)
        for command in ("escalate", "dispatch", "task-run"):
            (host.home / f"claude-{command}").symlink_to(host.home / "lib/launcher/launch.py")
        yield host


def call(host: Host, command: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return host.run(command, *arguments, **variables)


def test_one_question_goes_to_the_cloud_with_nothing_but_itself(host: Host) -> None:
    done = call(host, "escalate", "is this safe?", SIGNALBOX_LANE="local", CLAUDECODE="1")
    assert (done.returncode, done.stderr) == (0, "")
    words = "-p --max-budget-usd 1.0 --tools  --strict-mcp-config"
    assert done.stdout == f"is this safe? in 0, lane cloud, inner no, arguments {words}\n"  # 0 files around it


def test_nothing_of_a_private_session_is_escalated(host: Host) -> None:
    done = call(host, "escalate", "is this safe?", SIGNALBOX_LANE="local-private")
    assert (done.returncode, done.stdout) == (output.EX_USAGE, "")
    assert "this session is private: nothing of it may go to a cloud" in done.stderr


def test_tasks_go_side_by_side_and_come_back_in_order(host: Host) -> None:
    done = call(host, "dispatch", "--json", "one", "fail", "three", SIGNALBOX_LANE="cloud")
    answers = json.loads(done.stdout)
    assert [(each["prompt"], each["status"]) for each in answers] == [("one", 0), ("fail", 3), ("three", 0)]
    assert "lane local" in answers[0]["text"]
    assert done.returncode == 3  # one failed, the others have been done


def test_a_task_whose_answer_is_none_is_not_done(host: Host) -> None:
    done = call(host, "dispatch", "--json", "one", "undone")  # the hook has left its mark: see test_stopped.py
    assert [each["status"] for each in json.loads(done.stdout)] == [0, output.EX_PROTOCOL]
    assert (done.returncode, "the answer is none: " in done.stderr) == (output.EX_PROTOCOL, True)


def test_a_task_that_takes_too_long_is_ended(host: Host) -> None:
    done = call(host, "dispatch", "--timeout", "1", "--json", "sleep", "two")
    late, two = json.loads(done.stdout)
    assert (late["status"], late["text"], two["status"]) == (124, "no answer within 1 s", 0)


def test_limits_of_the_settings_can_only_be_narrowed(host: Host) -> None:
    done = call(host, "dispatch", "--budget", "50", "one")
    assert "--max-budget-usd 20.0" in done.stdout
    done = call(host, "dispatch", "--budget", "0.2", "one")
    assert "--max-budget-usd 0.2" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--budgt", "3", "q"), "there is no option --budgt"),
        (("--budgt=3", "q"), "there is no option --budgt"),
        (("--parallel", "0", "q"), "--parallel 0: write a number, 1 or more"),
        (("--timeout", "nan", "q"), "--timeout nan: write a number, 0.0001 or more"),
        (("--budget=-1", "q"), "--budget -1: write a number"),
        (("q", "--timeout"), "--timeout : write a number"),
    ],
)
def test_an_option_that_is_wrong_is_told_and_not_billed(host: Host, words: tuple[str, ...], said: str) -> None:
    done = call(host, "dispatch", *words)
    assert (done.returncode, done.stdout) == (output.EX_USAGE, "")
    assert said in done.stderr
    assert call(host, "escalate", "--parallel", "2", "q").returncode == output.EX_USAGE


def test_a_prompt_may_begin_with_dashes(host: Host) -> None:
    assert "--all of it? in" in call(host, "dispatch", "--all of it?").stdout


def test_work_of_a_private_session_stays_in_its_lane(host: Host) -> None:
    host.ask_here("local-private")
    done = call(host, "dispatch", "one", SIGNALBOX_LANE="local-private")
    assert "lane local-private" in done.stdout, done.stderr


def test_what_more_a_task_may_is_said(host: Host) -> None:
    done = call(host, "dispatch", "one", "--", "--allowedTools", "Bash(make test)")
    assert done.stdout.splitlines()[1].endswith("Read,Edit,Write,Grep,Glob --allowedTools Bash(make test)")


def test_a_headless_task_gets_its_prompt_over_stdin(host: Host) -> None:
    tasks = host.home / ".config/claude-tasks"
    tasks.mkdir()
    (tasks / "nightly.toml").write_text(
        'lane = "local"\ndirectory = "~/project"\nprompt = "look"\narguments = ["-v"]\n'
    )
    done = call(host, "task-run", "nightly")
    assert done.stdout == "look in 0, lane local, inner no, arguments -p -v\n", done.stderr


WHOLE = 'lane = "local"\nprompt = "x"\n'


@pytest.mark.parametrize(
    "text",
    [
        "",
        'lane = "local"',
        f"{WHOLE}prmpt = 1",
        "lane =",
        f'{WHOLE}arguments = "--foo"',
        f"{WHOLE}arguments = [1]",
        f'{WHOLE}directory = "/nowhere"',
    ],
)
def test_a_task_that_is_not_whole_is_told(host: Host, text: str) -> None:
    (host.home / ".config/claude-tasks").mkdir()
    (host.home / ".config/claude-tasks/nightly.toml").write_text(text)
    done = call(host, "task-run", "nightly")
    assert done.returncode == output.EX_CONFIG
    assert "nightly.toml" in done.stderr
    assert "Traceback" not in done.stderr

"""claude-switch as bash runs it: the function, the sourced command, what it changes and what it gives back."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalbox.desired.render import render
from signalbox.host.shared import output
from tests.unit.test_launcher import KEY, Gateway, Host, serving

SHELLS = [shell for shell in ("bash", "zsh") if shutil.which(shell)]


@pytest.fixture(name="host")
def switching_host(tmp_path: Path) -> Iterator[Host]:
    with serving(Gateway) as server:
        host = Host(tmp_path, server)
        program = str(host.home / "lib/launcher/launch.py")
        functions = host.home / "lib/shell.sh"
        functions.write_text(
            render(
                "launchers/shell.sh", program=program, commands="claude-routed claude-local", completed="claude-session"
            )
        )
        command = host.home / "claude-switch"
        command.write_text(render("launchers/claude-switch", program=program, functions=str(functions)))
        command.chmod(0o755)
        yield host


def bash(host: Host, script: str, shell: str = "bash", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the script with the function there, as in every shell of the service user."""
    return subprocess.run(
        [shell, "-c", f". {host.home}/lib/shell.sh\n{script}"],
        env={
            "HOME": str(host.home),
            "PATH": f"{host.home}:/usr/bin:/bin",
            "SIGNALBOX_LANES": str(host.home / "lanes.json"),
            **variables,
        },
        cwd=host.home,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_switching_there_and_back_leaves_the_environment_as_it_was(host: Host, shell: str) -> None:
    script = """
        env | sort > before
        claude-switch local; env | sort > first
        claude-switch cloud; claude-switch routed; claude-switch local; env | sort > again
        claude-switch off; env | sort > after
        cmp before after && cmp first again && echo same; ! cmp -s before first && echo changed
    """
    done = bash(host, script, shell, ANTHROPIC_API_KEY="sk-ant-mine", NO_PROXY="here")
    assert done.stdout == "same\nchanged\n", done.stderr
    first = dict(line.split("=", 1) for line in (host.home / "first").read_text().splitlines())
    assert (first["ANTHROPIC_AUTH_TOKEN"], first["SIGNALBOX_LANE"]) == (KEY, "local")
    assert "ANTHROPIC_API_KEY" not in first
    assert first["CLAUDE_CONFIG_DIR"] == str(host.home / ".claude-local")


@pytest.mark.parametrize("shell", SHELLS)
def test_off_is_true_in_a_shell_below_the_switched_one(host: Host, shell: str) -> None:
    inner = f". {host.home}/lib/shell.sh; claude-switch off; env | sort > after; typeset -f claude"
    script = f"""
        env | sort | grep -v -e ^SHLVL -e ^_= > before
        claude-switch local
        {shell} -c '{inner}'
        grep -v -e ^SHLVL -e ^_= -e '^NO_PROXY=127.0.0.1$' -e '^no_proxy=127.0.0.1$' after | cmp before - && echo same
    """
    done = bash(host, script, shell, DISABLE_UPDATES="1")
    assert done.stdout == "same\n", done.stderr
    assert done.stderr.endswith("plain claude again, with its own login\n")


def test_off_says_what_is_not_plain_claudes_own(host: Host) -> None:
    done = bash(host, "claude-switch local 2>/dev/null; claude-switch off", ANTHROPIC_API_KEY="sk-ant-mine")
    assert "plain claude again, but not with its own login: " in done.stderr
    assert "ANTHROPIC_API_KEY; plain claude follows it; take it out" in done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_claude_in_a_switched_shell_is_proven_at_each_start(host: Host, shell: str) -> None:
    script = f"""
        claude() {{ echo mine; }}
        PATH={host.claude.parent}:$PATH
        claude-switch local 2>/dev/null; claude-switch cloud 2>/dev/null
        mkdir -p .claude; echo '{{"apiKeyHelper": "x"}}' > .claude/settings.json
        claude -p x || echo refused $?
        {shell} -c '. {host.home}/lib/shell.sh; claude -p x' 2>/dev/null || echo and below
        rm .claude/settings.json
        claude -p 'a  b'
        claude-switch off
        claude
    """
    done = bash(host, script, shell, SEEN=str(host.home / "seen"))
    assert done.stdout == f"refused {output.EX_CONFIG}\nand below\nmine\n", done.stderr
    assert "/.claude/settings.json, line 1: apiKeyHelper beats the lane; take it out" in done.stderr
    assert host.seen()[0] == ["-p", "a  b"]
    assert host.seen()[1]["SIGNALBOX_LANE"] == "cloud"


def test_a_function_with_a_lanes_name_is_off_at_the_first_prompt(host: Host) -> None:
    (host.home / ".bashrc").write_text(f". {host.home}/lib/shell.sh\nfunction claude-local {{ echo mine; }}\n")
    done = subprocess.run(
        ["bash", "-i"],
        input="claude-local -p x\n",
        env={"HOME": str(host.home), "PATH": f"{host.home}:/usr/bin:/bin", "SEEN": str(host.home / "seen")}
        | {"SIGNALBOX_LANES": str(host.home / "lanes.json")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "", done.stderr
    assert f"claude-local: your function of this name is off, so that the lane starts; take it out of {host.home}" in (
        done.stderr
    )
    assert ".bashrc, line 2" in done.stderr
    assert host.seen()[0] == ["-p", "x"]


def test_a_function_that_a_shell_above_exported_is_off(host: Host) -> None:
    script = (
        f"claude-local() {{ echo mine; }}; export -f claude-local; bash -c '. {host.home}/lib/shell.sh; claude-local'"
    )
    done = bash(host, script, SEEN=str(host.home / "seen"))
    assert done.stdout == "", done.stderr
    assert host.seen()[0] == []


def test_the_sourced_command_does_the_same_and_the_program_says_so(host: Host) -> None:
    done = bash(host, "unset -f claude-switch; source claude-switch local; echo $ANTHROPIC_MODEL")
    assert done.stdout == "local\n", done.stderr
    done = bash(host, "command claude-switch local")
    assert done.returncode == output.EX_USAGE
    assert done.stderr.endswith("only the shell itself can be changed; type: source claude-switch local\n")


def test_a_lane_that_cannot_work_changes_nothing(host: Host) -> None:
    host.server.socket.close()
    done = bash(host, "set -e; claude-switch local || echo $?; env | grep -c ANTHROPIC || true")
    assert done.stdout == f"{output.EX_UNAVAILABLE}\n0\n"


def test_a_shell_that_traces_does_not_print_the_key(host: Host) -> None:
    done = bash(host, "set -x; claude-switch local; : still; [ -n $ANTHROPIC_MODEL ]")
    assert KEY not in done.stderr
    assert "+ : still" in done.stderr  # the person's tracing goes on


def test_status_tells_where_claude_goes_and_who_pays(host: Host) -> None:
    done = bash(host, "claude-switch local 2>/dev/null; claude-switch status --json")
    told = json.loads(done.stdout)
    assert (told["lane"], told["goes_to"], told["trouble"]) == ("local", host.records["gateway"]["url"], None)
    assert told["bills"] == host.records["lanes"]["local"]["billed"]
    assert told["models"]["main"] == "local"
    assert told["session"][0] == "it asks before it acts (permission_mode default)"
    assert "session       it asks before it acts" in bash(host, "claude-switch status", SIGNALBOX_LANE="local").stdout


def test_status_of_plain_claude_names_what_diverts_it(host: Host) -> None:
    (host.home / ".claude").mkdir()
    (host.home / ".claude/settings.json").write_text('{"apiKeyHelper": "x"}')
    done = bash(host, "claude-switch status --json", ANTHROPIC_BASE_URL="http://old")
    told = json.loads(done.stdout)
    assert done.returncode == 2
    assert (told["lane"], told["goes_to"]) == (None, "http://old")
    assert [each.split(": ")[1].split(";")[0] for each in told["plain_claude_diverted_by"]] == [
        "ANTHROPIC_BASE_URL",
        "apiKeyHelper beats the lane",
    ]


def test_status_is_whole_where_the_key_is_not(host: Host) -> None:
    host.key_file.write_text("")
    done = bash(host, "claude-switch status --json", SIGNALBOX_LANE="local")
    assert done.returncode == 2
    assert json.loads(done.stdout)["trouble"] == f"{host.key_file} is empty; run the deploy again"


def test_status_tells_each_slots_model_of_a_direct_lane(host: Host) -> None:
    host.ask_here("local-private")
    host.records["lanes"]["local-private"]["environment"]["ANTHROPIC_DEFAULT_HAIKU_MODEL"] = "small"
    host.write()
    models = json.loads(bash(host, "claude-switch status --json", SIGNALBOX_LANE="local-private").stdout)["models"]
    assert list(models.items())[:2] == [("main", "qwen/qwen3.6-35b-a3b"), ("opus", "qwen/qwen3.6-35b-a3b")]
    assert models["haiku"] == "small"


def test_status_of_plain_claude_looks_where_claude_would(host: Host) -> None:
    (host.home / "leaked").mkdir()
    (host.home / "leaked/settings.json").write_text('{"env": {"ANTHROPIC_BASE_URL": "http://evil"}}')
    done = bash(host, "claude-switch status --json", CLAUDE_CONFIG_DIR=str(host.home / "leaked"))
    told = json.loads(done.stdout)
    assert (done.returncode, told["bills"], told["directory"]) == (2, "see what diverts it", f"{host.home}/leaked")
    assert told["beaten_by"] == [
        "the environment that this was called from: CLAUDE_CONFIG_DIR; plain claude follows it; take it out",
        f"{host.home}/leaked/settings.json, line 1: env.ANTHROPIC_BASE_URL beats the lane; take it out",
    ]


def test_a_lane_with_a_login_of_its_own_has_no_key_to_help_with(host: Host) -> None:
    host.records["lanes"]["api"] |= {"key_file": None, "key_variable": None}
    host.write()
    assert "apiKeyHelper" not in json.loads(bash(host, "claude-switch snippet settings api").stdout)
    done = bash(host, f"{host.home}/lib/launcher/launch.py key api")
    assert (done.returncode, done.stdout) == (output.EX_USAGE, "")


def test_snippets_hold_the_key_only_when_asked(host: Host) -> None:
    settings = json.loads(bash(host, "claude-switch snippet settings local").stdout)
    assert settings["env"]["ANTHROPIC_BASE_URL"] == host.records["gateway"]["url"]
    assert settings["apiKeyHelper"].endswith("launch.py key local")
    assert KEY not in json.dumps(settings)
    code = json.loads(bash(host, "claude-switch snippet vscode local --with-key").stdout)
    pairs = {each["name"]: each["value"] for each in code["claudeCode.environmentVariables"]}
    assert (pairs["ANTHROPIC_AUTH_TOKEN"], pairs["ANTHROPIC_MODEL"]) == (KEY, "local")

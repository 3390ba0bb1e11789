"""claude-switch as bash runs it: the function, the sourced command, what it changes and what it gives back."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalbox.launcher import speak
from signalbox.render import render
from tests.unit.test_launcher import KEY, Gateway, Host, serving

SHELLS = [shell for shell in ("bash", "zsh") if shutil.which(shell)]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with serving(Gateway) as server:
        host = Host(tmp_path, server)
        program = str(host.home / "lib/launcher/launch.py")
        functions = host.home / "lib/shell.sh"
        functions.write_text(render("launchers/shell.sh", program=program, commands="claude-routed claude-local"))
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


def test_the_sourced_command_does_the_same_and_the_program_says_so(host: Host) -> None:
    done = bash(host, "unset -f claude-switch; source claude-switch local; echo $ANTHROPIC_MODEL")
    assert done.stdout == "local\n", done.stderr
    done = bash(host, "command claude-switch local")
    assert done.returncode == speak.EX_USAGE
    assert done.stderr.endswith("only the shell itself can be changed; type: source claude-switch local\n")


def test_a_lane_that_cannot_work_changes_nothing(host: Host) -> None:
    host.server.socket.close()
    done = bash(host, "set -e; claude-switch local || echo $?; env | grep -c ANTHROPIC || true")
    assert done.stdout == f"{speak.EX_UNAVAILABLE}\n0\n"


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


def test_servers_of_the_backends_file_can_be_switched_to(host: Host) -> None:
    file = host.home / ".claude-backends.env"
    url = host.records["gateway"]["url"]
    file.write_text(
        f'# mine\nexport OLLAMA_BASE_URL="{url}/"\nOLLAMA_AUTH_TOKEN={KEY}\nOLLAMA_MODEL=devstral # big\n'
        "OLLAMA_MODEL_NAME='Devstral 2'\n"
    )
    file.chmod(0o644)
    assert "others may read" in bash(host, "claude-switch ollama").stderr
    file.chmod(0o600)
    done = bash(
        host, 'claude-switch ollama; echo "$ANTHROPIC_MODEL|$ANTHROPIC_CUSTOM_MODEL_OPTION_NAME|$ANTHROPIC_BASE_URL"'
    )
    assert done.stdout == f"devstral|Devstral 2|{url}\n", done.stderr
    assert "write VLLM_BASE_URL=http://…" in bash(host, "claude-switch vllm").stderr


def test_nothing_in_the_backends_file_is_run(host: Host) -> None:
    file = host.home / ".claude-backends.env"
    file.write_text("OLLAMA_BASE_URL=$(touch ran)\n")
    file.chmod(0o600)
    done = bash(host, "claude-switch ollama")
    assert done.returncode == speak.EX_CONFIG
    assert "line 1: a value is one word, and nothing in it is run" in done.stderr
    assert not (host.home / "ran").exists()


def conversation(host: Host, lane: str, *entries: dict[str, object]) -> Path:
    folder = "".join(each if each.isalnum() else "-" for each in str(host.home))
    path = host.home / f".claude-{lane}/projects/{folder}/0f97.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def said(uuid: str, parent: str, content: list[dict[str, str]], tokens: int) -> dict[str, object]:
    usage = {"input_tokens": tokens - 10, "output_tokens": 10}
    return {
        "type": "assistant",
        "uuid": uuid,
        "parentUuid": parent,
        "message": {"content": content, "usage": usage},
    }


def test_a_conversation_goes_on_in_another_lane_without_its_thinking(host: Host) -> None:
    thought = said("b", "a", [{"type": "thinking", "thinking": "x", "signature": "of another model"}], 100)
    answered = said("c", "b", [{"type": "text", "text": "42"}], 100)
    conversation(host, "local", {"type": "user", "uuid": "a", "parentUuid": None}, thought, answered)
    done = bash(host, "claude-switch continue cloud -- -p more", SEEN=str(host.home / "seen"))
    assert done.returncode == 0, done.stderr
    assert host.seen()[0] == ["--resume", "0f97", "-p", "more"]
    (copy,) = host.home.glob(".claude-cloud/projects/*/0f97.jsonl")
    entries = [json.loads(line) for line in copy.read_text().splitlines()]
    assert [(entry["uuid"], entry["parentUuid"]) for entry in entries] == [("a", None), ("c", "a")]


def test_a_conversation_that_does_not_fit_stays(host: Host) -> None:
    conversation(host, "cloud", said("a", "", [{"type": "text", "text": "long"}], 30000))
    done = bash(host, "claude-switch continue local")
    assert done.returncode == speak.EX_CONFIG
    assert "holds 30000 tokens and local has a context of 32768, 4096 of them for the answer" in done.stderr


def test_a_private_conversation_leaves_only_when_a_person_says_so(host: Host) -> None:
    conversation(host, "local-private", said("a", "", [{"type": "text", "text": "secret"}], 100))
    host.ask_here("local-private")
    assert "no conversation of this directory" in bash(host, "claude-switch continue cloud").stderr
    done = bash(host, "claude-switch continue cloud --from local-private")
    assert done.returncode == speak.EX_USAGE
    assert "local-private is private, and this goes from local-private to cloud; add --private-too" in done.stderr
    assert not list(host.home.glob(".claude-cloud/projects/*/*"))
    done = bash(host, "claude-switch continue cloud --from local-private --private-too", SEEN=str(host.home / "seen"))
    assert done.returncode == 0, done.stderr


def test_snippets_hold_the_key_only_when_asked(host: Host) -> None:
    settings = json.loads(bash(host, "claude-switch snippet settings local").stdout)
    assert settings["env"]["ANTHROPIC_BASE_URL"] == host.records["gateway"]["url"]
    assert settings["apiKeyHelper"].endswith("launch.py key local")
    assert KEY not in json.dumps(settings)
    code = json.loads(bash(host, "claude-switch snippet vscode local --with-key").stdout)
    pairs = {each["name"]: each["value"] for each in code["claudeCode.environmentVariables"]}
    assert (pairs["ANTHROPIC_AUTH_TOKEN"], pairs["ANTHROPIC_MODEL"]) == (KEY, "local")

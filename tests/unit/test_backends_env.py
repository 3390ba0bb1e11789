"""~/.claude-backends.env: servers that a person has written down, as lanes of claude-switch."""

from __future__ import annotations

import json

import pytest

from signalbox.host.shared import output
from tests.unit.test_claude_switch import bash, switching_host  # noqa: F401 (the fixture host)
from tests.unit.test_launcher import KEY, Host


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


def write_servers(host: Host, more: str = "") -> None:
    file = host.home / ".claude-backends.env"
    url = host.records["gateway"]["url"]
    file.write_text(f"OLLAMA_BASE_URL={url}\nOLLAMA_AUTH_TOKEN={KEY}\nOLLAMA_MODEL=devstral\n{more}")
    file.chmod(0o600)


def test_a_shell_of_such_a_server_is_a_lanes_as_any_other(host: Host) -> None:
    write_servers(host, "OLLAMA_CONTEXT_LENGTH=65536\n")
    script = """
        claude-switch ollama 2>/dev/null
        claude -p x; claude-switch status --json
        mkdir -p .claude; echo '{"apiKeyHelper": "x"}' > .claude/settings.json
        claude -p x || echo refused
        rm .claude/settings.json
        claude-local -p x
    """
    done = bash(host, script, SEEN=str(host.home / "seen"))
    told = json.loads(done.stdout.removesuffix("refused\n"))
    assert (told["lane"], told["models"], told["trouble"]) == ("ollama", {"main": "devstral"}, None)
    assert done.stderr.count("\n") == 2, done.stderr  # the refusal alone: claude-local finds nothing of a surprise
    assert host.seen()[1]["ANTHROPIC_MODEL"] == "local"
    done = bash(host, "claude-switch ollama; env", SEEN=str(host.home / "seen"))
    assert "CLAUDE_CODE_MAX_CONTEXT_TOKENS=65536\nCLAUDE_CODE_MAX_OUTPUT_TOKENS=4096\n" in "\n".join(
        [*sorted(done.stdout.splitlines()), ""]
    )


def test_a_key_of_such_a_server_is_told_to_its_helper(host: Host) -> None:
    write_servers(host)
    settings = json.loads(bash(host, "claude-switch snippet settings ollama").stdout)
    assert settings["apiKeyHelper"].endswith("launch.py key ollama")
    done = bash(host, f"{host.home}/lib/launcher/launch.py key ollama")
    assert (done.returncode, done.stdout) == (0, f"{KEY}\n")


def test_a_backends_file_that_is_wrong_is_in_nobody_elses_way(host: Host) -> None:
    write_servers(host, "what is this\n")
    script = (
        "claude-switch local && claude-switch status >/dev/null && claude-switch list && claude-switch off && echo off"
    )
    done = bash(host, script)
    assert done.stdout.endswith("off\n"), done.stderr
    assert "its servers are left out: " in done.stderr
    assert "line 4: this is no NAME=value" in done.stderr
    done = bash(host, "claude-switch ollama")
    assert done.returncode == output.EX_CONFIG
    assert "line 4: this is no NAME=value" in done.stderr


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ("KEY=abc\nOLLAMA_AUTH_TOKEN=$KEY", "abc"),
        ('KEY=abc\nOLLAMA_AUTH_TOKEN="x${KEY}y"', "xabcy"),
        ("OLLAMA_AUTH_TOKEN=$OF_THE_SHELL", "shell"),
        ("OLLAMA_AUTH_TOKEN='a$KEY'", "a$KEY"),
        ("OLLAMA_AUTH_TOKEN=a\\$b # it's mine", "a$b"),
        ('OLLAMA_AUTH_TOKEN="a\\$b"', "a$b"),
        ("OLLAMA_AUTH_TOKEN=$NOWHERE", "line 4: $NOWHERE is set neither above nor in the environment"),
        ("OLLAMA_AUTH_TOKEN=${NOWHERE:-x}", "line 4: of variables, $NAME and ${NAME} are read"),
    ],
)
def test_values_of_the_backends_file_are_what_a_shell_makes_of_them(host: Host, lines: str, value: str) -> None:
    write_servers(host, f"{lines}\n")
    done = bash(host, f"{host.home}/lib/launcher/launch.py key ollama", OF_THE_SHELL="shell")
    assert value in (done.stdout or done.stderr).splitlines()[0]
    assert (done.returncode == 0) == (done.stdout == f"{value}\n")


def test_nothing_in_the_backends_file_is_run(host: Host) -> None:
    file = host.home / ".claude-backends.env"
    file.write_text("OLLAMA_BASE_URL=$(touch ran)\n")
    file.chmod(0o600)
    done = bash(host, "claude-switch ollama")
    assert done.returncode == output.EX_CONFIG
    assert "line 1: a value is one word, and nothing in it is run" in done.stderr
    assert not (host.home / "ran").exists()

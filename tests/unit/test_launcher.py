"""The launcher as a host runs it: its own process, a real gateway port, a program that tells how it was started."""

from __future__ import annotations

import http.server
import json
import os
import pwd
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from signalbox.lanes import lane_records
from signalbox.launcher import launch
from signalbox.settings import Settings
from tests.good_settings import layers

KEY = "sk-of-the-gateway"
ME = pwd.getpwuid(os.geteuid()).pw_name
# Stands where claude would: tells its arguments and environment, and ends as it is told.
CLAUDE = """#!/bin/sh
{ for each in "$@"; do printf 'argument %s\\n' "$each"; done; env; } > "$SEEN"
exit ${STATUS:-0}
"""


class Gateway(http.server.BaseHTTPRequestHandler):
    models: tuple[str, ...] = ("local", "claude-sonnet-4-6", "claude-opus-4-8", "claude-haiku-4-5")
    delay = 0.0

    def do_GET(self) -> None:
        time.sleep(self.delay)
        right = self.headers["Authorization"] == f"Bearer {KEY}" and self.path == "/v1/models"
        body = {"data": [{"id": model} for model in self.models]} if right else {"error": "No connected db."}
        self.send_response(200 if right else 400)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@dataclass
class Host:
    """A service user's home, the records of the guide's lanes, and a gateway."""

    home: Path
    server: http.server.HTTPServer
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.claude.parent.mkdir(parents=True)
        self.claude.write_text(CLAUDE)
        self.claude.chmod(0o755)
        self.key_file.parent.mkdir(parents=True)
        self.key_file.write_text(f"{KEY}\n")
        self.key_file.chmod(0o600)
        for lane in ("routed", "local", "gone"):
            (self.home / f"claude-{lane}").symlink_to(launch.__file__)
        port = self.server.server_address[1]
        settings = Settings.from_layers(layers({"gateway": {"port": port}}), host="box1")
        self.records = lane_records(settings)
        self.records["user"] = ME
        self.write()

    @property
    def claude(self) -> Path:
        return self.home / ".local/bin/claude"

    @property
    def key_file(self) -> Path:
        return self.home / ".config/signalbox/gateway.key"

    def settings_file(self, lane: str = "routed") -> Path:
        return self.home / f".claude-{lane}/settings.json"

    def write(self) -> None:
        (self.home / "lanes.json").write_text(json.dumps(self.records).replace("/home/claude", str(self.home)))

    def run(self, lane: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "HOME": str(self.home),
            "PATH": "/usr/bin:/bin",
            "SEEN": str(self.home / "seen"),
            "SIGNALBOX_LANES": str(self.home / "lanes.json"),
            **variables,
        }
        command = [sys.executable, str(self.home / f"claude-{lane}"), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)

    def seen(self) -> tuple[list[str], dict[str, str]]:
        lines = (self.home / "seen").read_text().splitlines()
        arguments = [line.removeprefix("argument ") for line in lines if line.startswith("argument ")]
        return arguments, dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("argument "))

    def refused(self, lane: str, status: int, **variables: str) -> str:
        """Return what it said when it ended with `status`, without having started claude."""
        done = self.run(lane, "-p", "hello", **variables)
        assert (done.returncode, done.stdout) == (status, ""), done.stderr
        assert not (self.home / "seen").exists()
        return done.stderr.replace(str(self.home), "~").removeprefix(f"claude-{lane}: ").strip()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    handler = type("Handler", (Gateway,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield Host(tmp_path, server)
    server.shutdown()
    thread.join()
    server.server_close()


def test_claude_runs_in_its_lane_with_the_arguments_untouched(host: Host) -> None:
    done = host.run("routed", "-p", "a  b", "--model", "haiku", "", STATUS="7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")
    arguments, variables = host.seen()
    assert arguments == ["-p", "a  b", "--model", "haiku", ""]
    assert variables["ANTHROPIC_AUTH_TOKEN"] == KEY
    expected = host.records["lanes"]["routed"]["environment"]
    assert {name: variables[name].replace(str(host.home), "/home/claude") for name in expected} == expected


def test_a_local_lane_tells_claude_the_models_limits(host: Host) -> None:
    assert host.run("local").returncode == 0
    _, variables = host.seen()
    assert variables["ANTHROPIC_MODEL"] == "local"
    assert (variables["CLAUDE_CODE_MAX_CONTEXT_TOKENS"], variables["CLAUDE_CODE_MAX_OUTPUT_TOKENS"]) == (
        "32768",
        "4096",
    )


def test_flags_of_the_settings_come_first(host: Host) -> None:
    host.records["flags"] = ["--verbose"]
    host.write()
    host.run("routed", "-p", "x")
    assert host.seen()[0] == ["--verbose", "-p", "x"]


@pytest.mark.parametrize(
    "name",
    [
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_DIRECT_KEY",
        "ANTHROPIC_SMALL_FAST_MODEL",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_USE_VERTEX",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CODE_SUBAGENT_MODEL",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    ],
)
def test_what_would_bill_or_route_elsewhere_is_gone(host: Host, name: str) -> None:
    assert host.run("routed", **{name: "of-the-shell", "KEPT": "yes"}).returncode == 0
    _, variables = host.seen()
    assert (variables.get(name), variables["KEPT"]) == (None, "yes")


def test_a_new_directory_gets_settings_that_pin_nothing(host: Host) -> None:
    host.run("routed")
    assert json.loads(host.settings_file().read_text()) == {"effortLevel": "high"}
    assert host.settings_file().parent.stat().st_mode & 0o777 == 0o700


def test_a_persons_settings_stay(host: Host) -> None:
    host.settings_file().parent.mkdir()
    mine = '{"theme": "dark",   "effortLevel": "low"}'
    host.settings_file().write_text(mine)
    assert host.run("routed").returncode == 0
    assert host.settings_file().read_text() == mine


def test_an_effort_that_backends_refuse_is_lowered_and_the_original_kept(host: Host) -> None:
    host.settings_file().parent.mkdir()
    mine = '{"theme": "dark", "effortLevel": "xhigh"}'
    host.settings_file().write_text(mine)
    assert host.run("routed").returncode == 0
    assert json.loads(host.settings_file().read_text()) == {"theme": "dark", "effortLevel": "high"}
    assert host.settings_file().with_name("settings.json.before-signalbox").read_text() == mine


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"env": {"ANTHROPIC_BASE_URL": "x", "FOO": "y", "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "0"}}',
            "~/.claude-routed/settings.json sets env.ANTHROPIC_BASE_URL, env.CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS, "
            "which beats the lane; take that out",
        ),
        (
            '{"apiKeyHelper": "cat key"}',
            "~/.claude-routed/settings.json sets apiKeyHelper, which beats the lane; take that out",
        ),
        ("[]", "~/.claude-routed/settings.json holds no JSON object; mend it, or move it away"),
        (
            "{",
            "~/.claude-routed/settings.json is not JSON (Expecting property name enclosed in double quotes: line 1 "
            "column 2 (char 1)); mend it, or move it away",
        ),
    ],
)
def test_settings_that_would_beat_the_lane_are_refused(host: Host, text: str, said: str) -> None:
    host.settings_file().parent.mkdir()
    host.settings_file().write_text(text)
    assert host.refused("routed", launch.EX_CONFIG) == said
    assert host.settings_file().read_text() == text


def test_another_user_is_refused(host: Host) -> None:
    host.records["user"] = "claude"
    host.write()
    said = host.refused("routed", launch.EX_NOPERM)
    why = "as root an agent could do anything to this host" if ME == "root" else f"you are {ME}"
    assert said == f"this runs as claude alone ({why}); log in as claude: ssh claude@{os.uname().nodename}"


def test_a_gateway_that_is_down_is_told_at_once(host: Host) -> None:
    url = host.records["gateway"]["url"]
    host.server.socket.close()
    assert host.refused("routed", launch.EX_UNAVAILABLE) == (
        f"the gateway does not answer at {url} ([Errno 111] Connection refused); it may be starting, "
        "else see journalctl _SYSTEMD_USER_UNIT=litellm.service -n 30 (as root)"
    )


def test_a_gateway_that_hangs_is_told_in_seconds(host: Host) -> None:
    host.server.RequestHandlerClass.delay = 5  # type: ignore[attr-defined]
    started = time.monotonic()
    assert "(timed out)" in host.refused("routed", launch.EX_UNAVAILABLE)
    assert time.monotonic() - started < launch.PATIENCE + 1.5


def test_a_wrong_key_is_told_at_once(host: Host) -> None:
    host.key_file.write_text("sk-of-another")
    assert host.refused("routed", launch.EX_CONFIG) == (
        f"the gateway at {host.records['gateway']['url']} refuses the key in ~/.config/signalbox/gateway.key; "
        "run the deploy again"
    )


def test_a_gateway_without_the_lanes_model_is_told(host: Host) -> None:
    host.server.RequestHandlerClass.models = ("local",)  # type: ignore[attr-defined]
    assert host.refused("routed", launch.EX_CONFIG) == (
        f"the gateway at {host.records['gateway']['url']} has no model claude-opus-4-8, claude-sonnet-4-6; "
        "run the deploy again"
    )


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (None, 0, "the key in {} cannot be read (No such file or directory); run the deploy again"),
        ("", 0o600, "{} is empty; run the deploy again"),
        (KEY, 0o640, "others may read the key in {}; chmod 600 {}"),
    ],
)
def test_a_key_file_that_is_not_right_is_told(host: Host, content: str | None, mode: int, said: str) -> None:
    if content is None:
        host.key_file.unlink()
    else:
        host.key_file.write_text(content)
        host.key_file.chmod(mode)
    assert host.refused("routed", launch.EX_CONFIG) == said.replace("{}", "~/.config/signalbox/gateway.key")


def test_a_lane_that_is_no_more_is_told_with_those_that_are(host: Host) -> None:
    said = host.refused("gone", launch.EX_USAGE)
    assert said == "no lane is called 'gone' here; commands on this host: claude-routed claude-local"


def test_missing_records_are_told(host: Host) -> None:
    said = host.refused("routed", launch.EX_CONFIG, SIGNALBOX_LANES="/nowhere/lanes.json")
    assert said.startswith("/nowhere/lanes.json cannot be read (")
    assert said.endswith("; run the deploy again")


def test_missing_claude_is_told(host: Host) -> None:
    host.claude.unlink()
    assert host.refused("routed", launch.EX_CONFIG) == (
        "Claude Code cannot be started from ~/.local/bin/claude (No such file or directory); run the deploy again"
    )


def test_who_pays_is_told_on_a_terminal_alone(host: Host) -> None:
    # script(1) gives it a terminal; every other test here has none and demands an empty stderr or an error.
    command = f"SIGNALBOX_LANES={host.home}/lanes.json SEEN={host.home}/seen {sys.executable} {host.home}/claude-local"
    done = subprocess.run(
        ["script", "-qec", command, "/dev/null"], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
    )
    billed = host.records["lanes"]["local"]["billed"]
    assert f"claude-local: this bills {billed}" in done.stdout


def test_a_direct_lane_needs_no_gateway_and_a_first_party_lane_no_key(host: Host) -> None:
    lane = host.records["lanes"]["local"]
    host.server.socket.close()
    lane |= {"via": "direct", "key_file": None}
    host.write()
    assert host.run("local").returncode == 0
    assert host.seen()[1]["ANTHROPIC_AUTH_TOKEN"] == "none"  # noqa: S105
    lane |= {"via": "first-party", "environment": {"CLAUDE_CONFIG_DIR": str(host.home / ".claude-own")}}
    host.write()
    assert host.run("local", ANTHROPIC_AUTH_TOKEN="of-the-shell").returncode == 0  # noqa: S106
    assert not [name for name in host.seen()[1] if name.startswith("ANTHROPIC_")]

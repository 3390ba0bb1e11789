"""The launcher as a host runs it: its own process, a real gateway port, a program that tells how it was started."""

from __future__ import annotations

import http.server
import json
import os
import pwd
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from signalbox import host as programs
from signalbox.desired.claude_settings import LEAN
from signalbox.desired.lanes import lane_records
from signalbox.desired.routing import routing_table
from signalbox.host.launcher import abilities, probes
from signalbox.host.shared import output
from signalbox.settings import Settings
from tests.good_settings import layers

KEY = "sk-of-the-gateway"
CLOUD_KEY = "sk-ant-of-the-account-0123456789"
NOT_STARTED = (
    "not started: it must go to {url}, billed to the Claude API account of ANTHROPIC_DIRECT_KEY; background work is "
    "free unless the local server fails: then the same"
)
ME = pwd.getpwuid(os.geteuid()).pw_name
# Stands where claude would: tells its arguments and environment, and ends as it is told.
CLAUDE = """#!/bin/sh
{ for each in "$@"; do printf 'argument %s\\n' "$each"; done; env; } > "$SEEN"
exit ${STATUS:-0}
"""


# What each lane's settings.json has, beside what differs.
EVERY_LANE = {
    "cleanupPeriodDays": 3650,
    "disableAutoMode": "disable",
    "permissions": {"defaultMode": "default"},
}


class Gateway(http.server.BaseHTTPRequestHandler):
    models: tuple[str, ...] = ("local", "claude-sonnet-4-6", "claude-opus-4-8", "claude-haiku-4-5")
    delay = 0.0

    def do_GET(self) -> None:
        time.sleep(self.delay)
        if self.path == "/loaded":  # stands for a model server that tells its loaded context
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"n": 36000}')
            return
        if self.path.startswith("/sees/"):  # stands for one that tells whether its model sees images
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"vision": %s}' % self.path.removeprefix("/sees/").encode())
            return
        right = self.headers["Authorization"] == f"Bearer {KEY}" or self.headers["x-api-key"] == CLOUD_KEY
        right = right and self.path == "/v1/models"
        body = {"data": [{"id": model} for model in self.models]} if right else {"error": "No connected db."}
        self.send_response(200 if right else 401 if self.headers["x-api-key"] else 400)
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
        # As on a host: nothing of this project but the package itself.
        for package in ("launcher", "shared"):
            shutil.copytree(Path(programs.__file__).parent / package, self.home / "lib" / package)
        for lane in ("routed", "local", "local-private", "cloud", "api", "gone"):
            (self.home / f"claude-{lane}").symlink_to(self.home / "lib/launcher/launch.py")
        port = self.server.server_address[1]
        data = {"gateway": {"port": port}, "lanes": {"api": {"enabled": True}}, "secrets": {"on_host": "plain"}}
        settings = Settings.from_layers(layers(data), host="box1")
        self.records = lane_records(settings, routing_table(settings))
        self.records |= {"user": ME, "managed": str(self.home / "managed")}
        self.write()

    @property
    def claude(self) -> Path:
        return self.home / ".local/bin/claude"

    @property
    def key_file(self) -> Path:
        return self.home / ".config/signalbox/gateway.key"

    def api(self, key: str) -> None:
        """Let the lane `api` ask this gateway as its cloud, with `key`."""
        file = self.key_file.with_name("ANTHROPIC_DIRECT_KEY.key")
        file.write_text(key)
        file.chmod(0o600)
        self.ask_here("api")

    def ask_here(self, lane: str) -> None:
        """Let this gateway stand where the lane's own server would be."""
        url = self.records["gateway"]["url"]
        self.records["lanes"][lane]["environment"]["ANTHROPIC_BASE_URL"] = url
        self.records["lanes"][lane]["goes_to"] = url
        self.write()

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
        command = [str(self.home / f"claude-{lane}"), *arguments]
        project = self.home / "project"
        project.mkdir(exist_ok=True)
        return subprocess.run(command, env=environment, cwd=project, capture_output=True, text=True, timeout=30)

    def seen(self) -> tuple[list[str], dict[str, str]]:
        lines = (self.home / "seen").read_text().splitlines()
        arguments = [line.removeprefix("argument ") for line in lines if line.startswith("argument ")]
        return arguments, dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("argument "))

    def refused(self, lane: str, status: int, **variables: str) -> str:
        """Return what it said when it ended with `status`, without having started claude."""
        done = self.run(lane, "-p", "hello", **variables)
        assert (done.returncode, done.stdout) == (status, ""), done.stderr
        assert not (self.home / "seen").exists()
        told = done.stderr.replace(str(self.home), "~").replace(f"to {self.records['gateway']['url']},", "to {url},")
        lines = told.strip().splitlines()
        return "\n".join(line.removeprefix(f"claude-{lane}: ") for line in lines)


@contextmanager
def serving(gateway: type[Gateway]) -> Iterator[http.server.HTTPServer]:
    """A gateway of this kind on a free port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (gateway,), {}))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with serving(Gateway) as server:
        yield Host(tmp_path, server)


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


def test_a_local_model_chosen_in_another_lane_has_its_window(host: Host) -> None:
    host.run("cloud")
    _, variables = host.seen()
    assert variables["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == "32768"  # Claude's own names keep their own
    assert "CLAUDE_CODE_MAX_OUTPUT_TOKENS" not in variables
    assert host.records["lanes"]["cloud"]["context"] is None


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
        "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL",
    ],
)
def test_what_would_bill_or_route_elsewhere_is_gone(host: Host, name: str) -> None:
    assert host.run("routed", **{name: "of-the-shell", "KEPT": "yes"}).returncode == 0
    _, variables = host.seen()
    assert (variables.get(name), variables["KEPT"]) == (None, "yes")


def test_a_new_directory_gets_settings_that_pin_nothing(host: Host) -> None:
    host.run("routed")
    settings = json.loads(host.settings_file().read_text())
    assert (settings.pop("statusLine")["type"], settings.pop("modelPicker")["replaceBuiltInOptions"]) == (
        "command",
        True,
    )
    assert list(settings.pop("hooks")) == ["PreModelSwitch"]  # its lane lists a model without room for its prompt
    assert settings == {**EVERY_LANE, "effortLevel": "high"}
    assert host.settings_file().parent.stat().st_mode & 0o777 == 0o700


def test_a_persons_settings_stay(host: Host) -> None:
    host.settings_file().parent.mkdir()
    mine = {
        "theme": "dark",
        "effortLevel": "low",
        "permissions": {"defaultMode": "acceptEdits", "allow": ["Bash(ls)"], "deny": ["Bash(rm:*)"]},
        "cleanupPeriodDays": 7,
        "modelPicker": {"options": []},
        "statusLine": {"type": "command", "command": "mine"},
    }
    host.settings_file().write_text(json.dumps(mine))
    for _ in range(2):
        assert host.run("routed").returncode == 0
        settings = json.loads(host.settings_file().read_text())
        assert list(settings.pop("hooks")) == ["PreModelSwitch"]
        assert settings == {**mine, "disableAutoMode": "disable"}


def test_settings_that_are_no_objects_where_they_should_be_are_left_to_claude_code(host: Host) -> None:
    host.settings_file().parent.mkdir()
    host.settings_file().write_text('{"permissions": ["Bash"]}')
    assert host.run("routed").returncode == 0
    assert json.loads(host.settings_file().read_text())["permissions"] == ["Bash"]


def test_of_what_is_denied_each_entry_is_somebodys(host: Host) -> None:
    file = host.settings_file("local")

    def denied() -> list[str]:
        assert host.run("local").returncode == 0
        return list(json.loads(file.read_text())["permissions"].get("deny", ()))

    def write(now: list[str]) -> None:
        settings = json.loads(file.read_text())
        settings["permissions"]["deny"] = now
        file.write_text(json.dumps(settings))

    ours = host.records["lanes"]["local"]["settings"]["permissions.deny"]
    assert denied() == ours
    write(["Bash(rm:*)", *ours[1:]])  # one of theirs, and one of ours taken out
    assert denied() == ["Bash(rm:*)", *ours[1:]]
    host.records["lanes"]["local"]["settings"]["permissions.deny"] = ["WebFetch", "Write"]
    host.write()
    assert denied() == ["Bash(rm:*)", "WebFetch", "Write"]
    host.records["lanes"]["local"]["settings"]["permissions.deny"] = []
    host.write()
    assert denied() == ["Bash(rm:*)"]


def test_a_record_of_what_was_written_may_be_anything(host: Host) -> None:
    host.run("local")
    record = host.settings_file("local").with_name(".settings-of-signalbox.json")
    before = host.settings_file("local").read_text()
    for text in ("[]", "{", '{"permissions.deny": 5, "a..b": 1, "": null, "statusLine.x.y": 2}'):
        record.write_text(text)
        assert host.run("local").returncode == 0
        assert json.loads(host.settings_file("local").read_text()) == json.loads(before)


def test_a_lane_that_may_be_in_auto_mode_no_longer_has_it_off(host: Host) -> None:
    host.run("routed")
    del host.records["lanes"]["routed"]["settings"]["disableAutoMode"]
    host.records["lanes"]["routed"]["settings"]["permissions.defaultMode"] = "auto"
    host.write()
    host.run("routed")
    settings = json.loads(host.settings_file().read_text())
    assert ("disableAutoMode" in settings, settings["permissions"]) == (False, {"defaultMode": "auto"})
    host.settings_file().write_text(json.dumps({**settings, "disableAutoMode": "disable"}))  # a person's own
    host.run("routed")
    assert json.loads(host.settings_file().read_text())["disableAutoMode"] == "disable"


@pytest.mark.parametrize(("arguments", "off"), [(["-p", "x"], "1"), (["--print", "x"], "1"), ([], None)])
def test_nothing_holds_a_run_that_has_answered(host: Host, arguments: list[str], off: str | None) -> None:
    host.run("routed", *arguments)
    variables = host.seen()[1]
    found = {variables.get(f"CLAUDE_CODE_DISABLE_{each}") for each in ("BACKGROUND_TASKS", "CRON")}
    assert found == {off}


def test_exceptions_from_a_proxy_are_kept_under_both_names(host: Host) -> None:
    host.run("routed", NO_PROXY="intra,127.0.0.1", no_proxy="other")
    variables = host.seen()[1]
    assert variables["NO_PROXY"] == variables["no_proxy"] == "other,intra,127.0.0.1"


def test_an_effort_that_backends_refuse_is_lowered_and_the_original_kept(host: Host) -> None:
    host.settings_file().parent.mkdir()
    mine = '{"theme": "dark", "effortLevel": "xhigh"}'
    host.settings_file().write_text(mine)
    assert host.run("routed").returncode == 0
    now = json.loads(host.settings_file().read_text())
    assert (now["theme"], now["effortLevel"]) == ("dark", "high")
    assert host.settings_file().with_name("settings.json.before-signalbox").read_text() == mine


def test_settings_follow_the_lane_until_a_person_changes_them(host: Host) -> None:
    def effort() -> object:
        assert host.run("routed").returncode == 0
        return json.loads(host.settings_file().read_text())["effortLevel"]

    assert effort() == "high"
    host.records["lanes"]["routed"]["effort"] = "low"
    host.write()
    assert effort() == "low"
    mine = {"effortLevel": "medium", "model": "opus"}  # the status line is taken out
    host.settings_file().write_text(json.dumps(mine))
    assert effort() == "medium"
    host.records["lanes"]["routed"]["effort"] = "high"
    host.write()
    assert effort() == "medium"
    assert json.loads(host.settings_file().read_text()) == mine


@pytest.mark.parametrize("text", ["", '{"effortLevel": "high"}'])
def test_settings_of_before_that_say_nothing_else_follow_the_lane(host: Host, text: str) -> None:
    host.settings_file().parent.mkdir()
    host.settings_file().write_text(text)
    assert host.run("routed").returncode == 0
    host.records["lanes"]["routed"]["effort"] = "low"
    host.write()
    assert host.run("routed").returncode == 0
    assert json.loads(host.settings_file().read_text())["effortLevel"] == "low"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"env": {"ANTHROPIC_BASE_URL": "x", "FOO": "y",\n "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "0"}}',
            "~/.claude-routed/settings.json, line 1: env.ANTHROPIC_BASE_URL beats the lane; take it out\n"
            "~/.claude-routed/settings.json, line 2: env.CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS beats the lane; "
            "take it out",
        ),
        (
            '{"apiKeyHelper": "cat key"}',
            "~/.claude-routed/settings.json, line 1: apiKeyHelper beats the lane; take it out",
        ),
        ("[]", "~/.claude-routed/settings.json: it holds no JSON object; mend it, or move it away"),
        (
            "{",
            "~/.claude-routed/settings.json: it is not JSON; mend it, or move it away (Expecting property name "
            "enclosed in double quotes: line 1 column 2 (char 1))",
        ),
    ],
)
def test_settings_that_would_beat_the_lane_are_refused(host: Host, text: str, said: str) -> None:
    host.settings_file().parent.mkdir()
    host.settings_file().write_text(text)
    assert host.refused("routed", output.EX_CONFIG) == f"{said}\n{NOT_STARTED}"
    assert host.settings_file().read_text() == text


def test_another_user_is_refused(host: Host) -> None:
    host.records["user"] = "claude"
    host.write()
    said = host.refused("routed", output.EX_NOPERM)
    why = "as root an agent could do anything to this host" if ME == "root" else f"you are {ME}"
    assert said == f"this runs as claude alone ({why}); log in as claude: ssh claude@{os.uname().nodename}"


def test_a_gateway_that_is_down_is_told_at_once(host: Host) -> None:
    url = host.records["gateway"]["url"]
    host.server.socket.close()
    assert host.refused("routed", output.EX_UNAVAILABLE) == (
        f"the gateway does not answer at {url} ([Errno 111] Connection refused); it may be starting, "
        "else see journalctl _SYSTEMD_USER_UNIT=litellm.service -n 30 (as root)"
    )


def test_a_gateway_that_hangs_is_told_in_seconds(host: Host) -> None:
    host.server.RequestHandlerClass.delay = 5  # type: ignore[attr-defined]
    started = time.monotonic()
    assert "(timed out)" in host.refused("routed", output.EX_UNAVAILABLE)
    assert time.monotonic() - started < probes.PATIENCE + 1.5


def test_a_wrong_key_is_told_at_once(host: Host) -> None:
    host.key_file.write_text("sk-of-another")
    assert host.refused("routed", output.EX_CONFIG) == (
        f"the gateway at {host.records['gateway']['url']} refuses the key in ~/.config/signalbox/gateway.key; "
        "run the deploy again"
    )


def test_a_gateway_without_the_lanes_model_is_told(host: Host) -> None:
    host.server.RequestHandlerClass.models = ("local",)  # type: ignore[attr-defined]
    assert host.refused("routed", output.EX_CONFIG) == (
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
    assert host.refused("routed", output.EX_CONFIG) == said.replace("{}", "~/.config/signalbox/gateway.key")


def test_an_encrypted_key_of_elsewhere_is_told(host: Host) -> None:
    encrypted = host.key_file.with_suffix(".cred")
    encrypted.write_text("bm90IG91cnM=\n")
    encrypted.chmod(0o600)
    host.records["lanes"]["routed"]["key_file"] = "/home/claude/.config/signalbox/gateway.cred"
    host.write()
    # Older systemds have no credentials of users, other machines no systemd: each has its own reason.
    said = host.refused("routed", output.EX_CONFIG)
    assert said.startswith("the key in ~/.config/signalbox/gateway.cred ")
    assert said.endswith("; run the deploy again")


def test_a_lane_that_is_no_more_is_told_with_those_that_are(host: Host) -> None:
    said = host.refused("gone", output.EX_USAGE)
    assert said == (
        "no lane is called 'gone' here; "
        "commands on this host: claude-routed claude-local claude-local-private claude-cloud claude-api"
    )


def test_missing_records_are_told(host: Host) -> None:
    said = host.refused("routed", output.EX_CONFIG, SIGNALBOX_LANES="/nowhere/lanes.json")
    assert said.startswith("/nowhere/lanes.json cannot be read (")
    assert said.endswith("; run the deploy again")


def test_missing_claude_is_told(host: Host) -> None:
    host.claude.unlink()
    assert host.refused("routed", output.EX_CONFIG) == (
        "Claude Code cannot be started from ~/.local/bin/claude (No such file or directory); run the deploy again"
    )


def test_who_pays_is_told_on_a_terminal_alone(host: Host) -> None:
    # script(1) gives it a terminal; every other test here has none and demands an empty stderr or an error.
    command = f"SIGNALBOX_LANES={host.home}/lanes.json SEEN={host.home}/seen {host.home}/claude-local"
    done = subprocess.run(
        ["script", "-qec", command, "/dev/null"], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
    )
    billed = host.records["lanes"]["local"]["billed"]
    assert f"claude-local: this bills {billed}" in done.stdout
    assert "claude-local: it asks before it acts (permission_mode default)" in done.stdout
    assert "claude-local: lean prompt: no web," in done.stdout
    file = host.settings_file("local")
    settings = json.loads(file.read_text())
    settings["permissions"]["defaultMode"] = "bypassPermissions"
    file.write_text(json.dumps(settings))
    told = subprocess.run(
        ["script", "-qec", command, "/dev/null"], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
    ).stdout
    where = f"{file}: permissions.defaultMode is bypassPermissions, not the lane's default"
    assert f"claude-local: {where}" in told
    assert "it asks" not in told


def test_a_private_lane_goes_straight_to_the_model_server(host: Host) -> None:
    host.ask_here("local-private")
    assert host.run("local", "--private", "-p", "x", HTTPS_PROXY="http://proxy", NO_PROXY="a").returncode == 0
    arguments, variables = host.seen()
    assert arguments[-2:] == ["-p", "x"]
    assert (variables["SIGNALBOX_LANE"], variables["ANTHROPIC_AUTH_TOKEN"]) == ("local-private", "none")
    assert "ANTHROPIC_CUSTOM_HEADERS" not in variables
    assert variables["NO_PROXY"] == "a,127.0.0.1"
    assert host.run("cloud", "--private").stderr.endswith(
        "there is no private lane cloud-private; set lanes.cloud-private.enabled, and deploy\n"
    )


@pytest.mark.parametrize(
    ("told", "in_results", "denied"),
    [("false", True, True), ("true", True, False), ("null", True, False), ("[", True, False), ("true", False, True)],
)
def test_a_direct_lane_whose_server_takes_no_images_reads_none(
    host: Host, told: str, in_results: bool, denied: bool
) -> None:
    host.ask_here("local-private")
    sight = {"body": None, "models": None, "names": [], "model": "m", "vision": "vision", "in_results": in_results}
    host.records["lanes"]["local-private"]["sight"] = {**sight, "url": f"{host.records['gateway']['url']}/sees/{told}"}
    host.write()
    assert host.run("local", "--private", "-p", "x").returncode == 0
    arguments, _ = host.seen()
    assert arguments[-2:] == ["-p", "x"]
    wanted = ["--disallowedTools=Read(*.png),Read(*.jpg),Read(*.jpeg),Read(*.gif),Read(*.webp),Read(*.pdf)"]
    assert arguments[:-2] == (wanted if denied else [])


TOOLLESS = {"capabilities": ["completion", "vision"]}


@pytest.mark.parametrize(
    ("via", "told", "tools"),
    [("direct", TOOLLESS, False), ("gateway", TOOLLESS, False), ("gateway", {"capabilities": ["tools"]}, True),
     ("direct", {}, True), ("direct", OSError("away"), True)],
)  # fmt: skip
def test_a_model_without_tools_is_told_of_before_anybody_answers_in_its_place(
    monkeypatch: pytest.MonkeyPatch, via: str, told: Any, tools: bool
) -> None:
    asked: list[dict[str, str]] = []

    def ask(_: str, headers: dict[str, str], *__: Any, **___: Any) -> Any:
        asked.append(headers)
        if isinstance(told, Exception):
            raise told
        return told

    monkeypatch.setattr(probes, "ask", ask)
    sight = {"url": "http://ollama/api/show", "body": {"model": "m"}, "models": None, "names": [], "model": "m",
             "vision": "capabilities", "tools": "capabilities"}  # fmt: skip
    instead = [{"model": "claude-haiku-4-5", "at": "anthropic", "billed": "the account"}]
    lane = {"via": via, "sight": sight, "models": {"main": "gemma"}, "instead": instead}
    assert abilities.abilities(lane, "secret").tools is tools
    assert ("Authorization" in asked[0]) is (via == "direct")  # the gateway's key is no server's
    words = abilities.without_tools(lane)
    assert words.startswith("gemma takes no tools, by its server's own word: Claude Code does nothing with it")
    assert ("claude-haiku-4-5 at anthropic answers, billed to the account" in words) is (via == "gateway")


def _slot(**more: Any) -> dict[str, Any]:
    return {"is_processing": True, "n_prompt_tokens_processed": 2048, "n_prompt_tokens_cache": 100,
            "next_token": [{"n_decoded": 0}], **more}  # fmt: skip


@pytest.mark.parametrize(
    ("slots", "read"),
    [
        ([_slot()], 2148),
        ([{"id": 0, "is_processing": False}, _slot(n_prompt_tokens_cache=None)], 2048),
        ([_slot(next_token=[{"n_decoded": 3}])], None),  # it speaks
        ([{"id": 0, "is_processing": False}], None),
        ([_slot(next_token=[])], None),
        ([_slot(n_prompt_tokens_processed="x")], None),
        ({"error": "no slots"}, None),
        ([1], None),
    ],
)
def test_how_far_a_prompt_is_read_is_told_where_the_server_tells_it(
    monkeypatch: pytest.MonkeyPatch, slots: Any, read: int | None
) -> None:
    monkeypatch.setattr(probes, "ask", lambda *_, **__: slots)
    assert probes.tokens_read({"slots": ["http://llama/slots"]}, None) == read
    assert probes.tokens_read({"slots": []}, None) is None


def test_the_model_servers_of_a_direct_lane_are_asked_first(host: Host) -> None:
    url = host.records["gateway"]["url"]
    host.ask_here("local-private")
    host.server.socket.close()
    assert host.refused("local-private", output.EX_UNAVAILABLE) == (
        f"the model server does not answer at {url} ([Errno 111] Connection refused); start it there"
    )


def test_the_pure_api_lane_has_its_key_and_nothing_of_a_gateway(host: Host) -> None:
    host.api(CLOUD_KEY)
    assert host.run("api", ANTHROPIC_AUTH_TOKEN="of-the-shell").returncode == 0  # noqa: S106
    _, variables = host.seen()
    assert variables["ANTHROPIC_API_KEY"] == CLOUD_KEY
    ours = {name for name in variables if name.startswith(("ANTHROPIC_", "CLAUDE_"))}
    assert ours == {"ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "ANTHROPIC_CONFIG_DIR", "CLAUDE_CONFIG_DIR"}
    state = json.loads((host.home / ".claude-api/.claude.json").read_text())
    assert state["customApiKeyResponses"]["approved"] == [CLOUD_KEY[-20:]]  # or it would ask


def test_a_cloud_that_refuses_the_key_is_told_at_once(host: Host) -> None:
    host.api("sk-ant-revoked")
    assert host.refused("api", output.EX_CONFIG) == (
        f"{host.records['gateway']['url']} refuses the key in ~/.config/signalbox/ANTHROPIC_DIRECT_KEY.key; "
        "set the right one, and deploy"
    )


def test_where_a_variable_of_the_shell_comes_from_is_told(host: Host) -> None:
    (host.home / ".bashrc").write_text("alias ll=ls\nexport ANTHROPIC_API_KEY=sk-ant-somebody\n")
    done = host.run("routed", ANTHROPIC_API_KEY="sk-ant-somebody", ANTHROPIC_BASE_URL="http://old")
    assert (done.returncode, "sk-ant" in done.stderr) == (0, False)
    assert done.stderr.replace(str(host.home), "~").splitlines() == [
        "claude-routed: ~/.bashrc, line 2: ANTHROPIC_API_KEY; it is not used here; take it out",
        "claude-routed: the environment that this was called from: ANTHROPIC_BASE_URL; it is not used here; "
        "take it out",
    ]


def test_a_lane_in_a_session_of_another_lane_says_nothing(host: Host) -> None:
    host.run("routed")
    _, variables = host.seen()
    done = host.run("local", **{name: variables[name] for name in variables if name not in ("PATH", "_")})
    assert (done.returncode, done.stderr) == (0, "")
    assert host.seen()[1]["SIGNALBOX_LANE"] == "local"


def test_what_one_lane_sets_does_not_reach_another(host: Host) -> None:
    host.run("local")
    _, of_local = host.seen()
    host.api(CLOUD_KEY)
    assert {name for name in of_local if name.startswith("CLAUDE_CODE_")} == {
        "CLAUDE_CODE_ATTRIBUTION_HEADER",
        "CLAUDE_CODE_DISABLE_1M_CONTEXT",
        "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL",
        *LEAN,
        "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY",
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS",
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
        "CLAUDE_CODE_MODEL_CAPABILITIES",
    }
    inherited = {name: of_local[name] for name in of_local if name not in ("PATH", "_")}
    host.run("cloud", **inherited)
    _, of_cloud = host.seen()
    assert "CLAUDE_CODE_MAX_OUTPUT_TOKENS" not in of_cloud  # or its answers would be cut at the local model's limit
    assert "CLAUDE_CODE_ATTRIBUTION_HEADER" not in of_cloud
    assert not LEAN.keys() & of_cloud.keys()
    host.run("api", **inherited)
    _, of_api = host.seen()
    assert not [name for name in of_api if name.startswith("CLAUDE_CODE_")]
    assert of_api["DISABLE_UPDATES"] == "1"


def test_limits_of_a_persons_own_shell_stay(host: Host) -> None:
    host.run("cloud", CLAUDE_CODE_MAX_OUTPUT_TOKENS="64000", CLAUDE_CODE_EFFORT_LEVEL="low")
    _, variables = host.seen()
    assert (variables["CLAUDE_CODE_MAX_OUTPUT_TOKENS"], variables["CLAUDE_CODE_EFFORT_LEVEL"]) == ("64000", "low")


def test_a_shells_effort_that_backends_refuse_is_not_the_lanes(host: Host) -> None:
    done = host.run("local", CLAUDE_CODE_EFFORT_LEVEL="max")
    assert "CLAUDE_CODE_EFFORT_LEVEL" not in host.seen()[1]
    assert "CLAUDE_CODE_EFFORT_LEVEL=max; many backends refuse it, so the lane's own holds here" in done.stderr


def test_another_claude_on_the_path_is_told_and_not_used(host: Host) -> None:
    other = host.home / "old/claude"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\nexit 99\n")
    other.chmod(0o755)
    done = host.run("routed", PATH=f"{other.parent}:/usr/bin:/bin")
    assert done.returncode == 0
    assert f"{other}: another claude is first on PATH" in done.stderr


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("project/.claude/settings.json", '{"env": {"ANTHROPIC_BASE_URL": "x"}}', "env.ANTHROPIC_BASE_URL"),
        ("project/.claude/settings.local.json", '{"apiKeyHelper": "x"}', "apiKeyHelper"),
        ("managed/managed-settings.json", '{"env": {"anthropic_api_key": "x"}}', "env.anthropic_api_key"),
        ("managed/managed-settings.d/9.json", '{"processWrapper": "x"}', "processWrapper"),
        (".claude-routed/remote-settings.json", '{"modelOverrides": {"a": "b"}}', "modelOverrides"),
        (".claude-routed/.credentials.json", "{}", "a stored login"),
        (".claude-routed/.claude.json", '{"primaryApiKey": "x"}', "a stored API key"),
        (".claude-routed/.claude.json", '{"oauthAccount": {"x": 1}}', "a stored login's account"),
    ],
)
def test_whatever_would_decide_in_the_lanes_place_stops_it(host: Host, path: str, text: str, said: str) -> None:
    (host.home / path).parent.mkdir(parents=True, exist_ok=True)
    (host.home / path).write_text(text)
    told = host.refused("routed", output.EX_CONFIG)
    assert told.startswith(f"~/{path}")
    assert said in told
    assert told.endswith(NOT_STARTED)


@pytest.mark.parametrize("worktree", [False, True])
def test_local_settings_of_the_repository_are_looked_into_from_below(host: Host, worktree: bool) -> None:
    # As Claude Code 2.1.329 does: from any directory of a checkout, and in a worktree those of the main checkout.
    main = host.home / "repository" if worktree else host.home
    (main / ".git/worktrees/tree").mkdir(parents=True)
    if worktree:
        (main / ".git/worktrees/tree/commondir").write_text("../..\n")
        (host.home / ".git").write_text(f"gitdir: {main}/.git/worktrees/tree\n")
    (main / ".claude").mkdir()
    (main / ".claude/settings.local.json").write_text('{"env": {"ANTHROPIC_BASE_URL": "x"}}')
    (main / ".claude/settings.json").write_text("not read, and so no matter")
    told = host.refused("routed", output.EX_CONFIG)
    where = f"{main}/.claude/settings.local.json".replace(str(host.home), "~")
    assert told == f"{where}, line 1: env.ANTHROPIC_BASE_URL beats the lane; take it out\n{NOT_STARTED}"


def test_a_proxy_between_a_lane_and_its_server_stops_it(host: Host) -> None:
    host.settings_file().parent.mkdir()
    host.settings_file().write_text('{"env": {"HTTP_PROXY": "http://x", "no_proxy": ""}}')
    assert host.refused("routed", output.EX_CONFIG).splitlines()[:2] == [
        "~/.claude-routed/settings.json, line 1: env.HTTP_PROXY beats the lane; take it out",
        "~/.claude-routed/settings.json, line 1: env.no_proxy beats the lane; take it out",
    ]
    host.api(CLOUD_KEY)
    host.settings_file("api").parent.mkdir()
    host.settings_file().rename(host.settings_file("api"))
    assert host.run("api").returncode == 0  # which may have to go through one


def test_managed_settings_that_agree_are_fine(host: Host) -> None:
    (host.home / "managed").mkdir()
    (host.home / "managed/managed-settings.json").write_text('{"env": {"DISABLE_UPDATES": "1", "FOO": "x"}}')
    assert host.run("routed").returncode == 0


@pytest.mark.parametrize("arguments", [['--settings={"apiKeyHelper": "x"}'], ["--settings", '{"apiKeyHelper": "x"}']])
def test_settings_given_as_an_argument_are_looked_into(host: Host, arguments: list[str]) -> None:
    done = host.run("routed", *arguments, "-p", "x")
    assert done.returncode == output.EX_CONFIG
    assert "the argument --settings, line 1: apiKeyHelper beats the lane" in done.stderr
    assert not (host.home / "seen").exists()


def test_plain_claudes_own_directory_is_no_lanes(host: Host) -> None:
    (host.home / ".claude").mkdir()
    (host.home / ".claude-routed").symlink_to(host.home / ".claude")
    assert "it is ~/.claude, plain claude's own" in host.refused("routed", output.EX_CONFIG)

"""Settings decide what is planned: a task that is off does nothing, a second user gets its own, sudo is everywhere."""

from __future__ import annotations

import subprocess
from functools import cache

import pytest

from tests.plan.simulated import SECRETS, Deploy, deploy

# section: how its task is called in a plan
TASKS = {
    "base": "Base",
    "service_user": "Service user",
    "rootless_docker": "Rootless Docker",
    "toolchain": "Toolchain",
    "secrets": "Secrets",
    "gateway": "Gateway",
    "launchers": "Launchers",
    "leftovers": "Leftovers",
}
# section: those that cannot do without it
NEEDED_BY = {"rootless_docker": ("gateway",), "secrets": ("gateway",)}


@cache
def usual() -> Deploy:
    return deploy()


@cache
def two_users() -> Deploy:
    return deploy({"gateway": {"user": "keeper"}})


@pytest.mark.parametrize("section", TASKS)
def test_a_task_that_is_off_has_no_operation(section: str) -> None:
    needing = NEEDED_BY.get(section, ())
    off = deploy({each: {"enabled": False} for each in (section, *needing)})
    gone = [name for each in (section, *needing) for name in usual().of(TASKS[each])]
    assert usual().of(TASKS[section]) != []
    assert off.of(TASKS[section]) == []
    assert off.names == [name for name in usual().names if name not in gone]  # the others are as they were


def test_preflight_that_is_off_asks_nothing() -> None:
    def looks(seen: Deploy) -> list[str]:
        return [each["command"] for each in seen.sent if " epoch " in each["command"]]

    # The toolchain asks for the architecture by the same fact.
    off = {"preflight": {"enabled": False}, "toolchain": {"enabled": False}, "launchers": {"enabled": False}}
    assert looks(deploy(off)) == []
    assert looks(deploy({**off, "preflight": {"enabled": True}})) != []


def test_a_lane_that_is_off_has_no_launcher() -> None:
    def places(seen: Deploy, path: str) -> bool:
        return any(f"mv -fT {path}.signalbox-new" in each["command"] for each in seen.sent)

    off = deploy({"lanes": {"routed": {"enabled": False}}})
    for path in ("/usr/local/bin/claude-routed", "/home/claude/.claude-routed/skills/vibe-orchestrator"):
        assert places(usual(), path)
        assert not places(off, path)
    assert places(off, "/usr/local/bin/claude-local")


# ---- a gateway with a user of its own ----


def test_docker_and_the_gateway_belong_to_their_own_user() -> None:
    for task in ("Gateway", "Rootless Docker"):
        owners = {name.split(" | ")[1].split(":")[0] for name in two_users().of(task) if ": " in name}
        assert "keeper" in owners
    assert not [name for name in two_users().of("Gateway") if "claude:" in name]
    assert "Service user | user keeper exists" in two_users().names


def test_the_agent_gets_the_gateways_key_and_no_providers() -> None:
    written = [each["command"] for each in two_users().sent if SECRETS["ANTHROPIC_DIRECT_KEY"] in each["stdin"]]
    assert written != []
    for command in written:
        assert "/home/keeper/.config/signalbox/gateway/secrets/ANTHROPIC_DIRECT_KEY.cred" in command
        assert "/home/claude" not in command
    assert "Secrets | claude has the gateway's key" in two_users().names


def test_the_gateways_user_cannot_log_in() -> None:
    made = [each["command"] for each in two_users().sent if "useradd" in each["command"]]
    shells = {command.split("--shell ")[1].split()[0]: command.split()[-1] for command in made}
    assert shells == {"/bin/bash": "claude", "/usr/sbin/nologin": "keeper"}
    keys = [each["command"] for each in two_users().sent if "authorized_keys" in each["command"] and each["stdin"]]
    assert keys != []
    assert not [command for command in keys if "keeper" in command]


# ---- sudo, ours and the agent's ----


@pytest.mark.parametrize("password", [None, "ADMIN_PASSWORD"])
def test_through_sudo_every_operation_uses_it(password: str | None) -> None:
    seen = deploy({"connection": {"sudo": True, "sudo_password": password}})
    assert seen.names == usual().names
    assert {each["sudo"] for each in seen.operations} == {True}
    assert {each["sudo_password"] for each in seen.operations} == {password is not None}
    assert {each["sudo"] for each in usual().operations} == {False}


def test_a_sudo_password_that_is_not_set_ends_the_run() -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        deploy({"connection": {"sudo": True, "sudo_password": "NEVER_SET"}})
    assert "secret NEVER_SET is not set or empty" in caught.value.stderr
    assert "export NEVER_SET" in caught.value.stderr


@pytest.mark.parametrize(
    ("sudo", "told"),
    [
        ("none", "claude has no sudo"),
        ("password", "claude may use sudo with its password"),
        ("nopasswd", "claude may use sudo without a password, WHICH MAKES THE AGENT ROOT"),
    ],
)
def test_the_agents_sudo_is_told_in_every_plan(sudo: str, told: str) -> None:
    password = {"password": "CLAUDE_PASSWORD"} if sudo == "password" else {}
    seen = deploy({"service_user": {"sudo": sudo, **password}}, "--dry")
    assert f"Service user | {told}" in seen.names
    assert f"Service user | {told}" in seen.stdout


def test_agent_is_no_root_by_default() -> None:
    assert not [each for each in usual().sent if "sudoers" in each["command"] and "NOPASSWD" in each["stdin"]]
    assert [each for each in deploy({"service_user": {"sudo": "nopasswd"}}).sent if "NOPASSWD" in each["stdin"]] != []


def test_a_model_that_nothing_certifies_is_remarked() -> None:
    words = "is not certified; `signalbox certify` tells"
    assert f"remark: backends.lmstudio: qwen/qwen3.6-35b-a3b {words}" in usual().stderr + usual().stdout
    known = {"kind": "vllm", "url": "http://192.168.1.23:8000", "models": {"local": {"id": "devstral-123b"}}}
    reported = deploy({"backends": {"lmstudio": {"enabled": False}, "box": known}})  # by the second guide
    assert "is not certified" not in reported.stderr + reported.stdout

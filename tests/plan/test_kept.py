"""What somebody has on a machine, and a deploy would take away, stops it before anything is changed."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from signalbox.facts.look import MAX_TEXT
from signalbox.manifest import Entry, entry_path
from signalbox.settings.layers import merge
from tests.answers import answered, claimed, text_field, user_answered
from tests.plan.simulated import Deploy, deploy
from tests.plan.test_leftovers import manifest
from tests.plan.test_plan_machines import machine

APT = "pkgnames"
GONE = answered("would", "0", "Remv docker-ce [5:28.0.0-1]\nRemv containerd.io [1.7.27-1]", "auto", "containerd.io")
DAEMON = "/home/claude/.config/docker/daemon.json"


def stopped(data: dict[str, Any], file: str = "deploy.py") -> str:
    """Return what a run says that must stop, having changed nothing."""
    with pytest.raises(subprocess.CalledProcessError) as raised:
        deploy(data, file=file)
    said = str(raised.value.stderr)
    assert "Success" not in said, said
    return said


def having(fact: str, *told: str) -> dict[str, Any]:
    return {"fake_responses": {fact: answered(*told)}}


def test_packages_that_apt_would_remove_stop_a_deploy_before_it() -> None:
    said = stopped(merge(machine(), {"fake_responses": {APT: GONE}}))
    assert "would remove docker-ce 5:28.0.0-1, containerd.io 1.7.27-1, which Signalbox has not installed" in said
    assert 'write replaces = ["docker-ce", "containerd.io"]' in said


def test_packages_that_the_settings_give_up_are_kept_in_mind() -> None:
    given_up = {"replaces": ["docker-ce", "containerd.io"]}
    seen = deploy(merge(machine(), {"fake_responses": {APT: GONE}, **given_up}))
    records = [each["command"] for each in seen.sent if '"kind": "replaced"' in each["command"]]
    assert any('"hash": "5:28.0.0-1", "id": "docker-ce"' in each for each in records)


def test_a_clock_that_is_there_is_enough() -> None:
    chrony = {"fake_responses": {"dpkg-query -W -f": answered("chrony installed\n")}}

    def installs(seen: Deploy, package: str) -> bool:
        return any(" install " in each["command"] and package in each["command"] for each in seen.sent)

    assert installs(deploy(machine()), "systemd-timesyncd")
    assert not installs(deploy(merge(machine(), chrony)), "systemd-timesyncd")


def daemon(text: str) -> dict[str, Any]:
    at = ("at", DAEMON, "f", "644", "claude", "claude", "", "", "9", "1-1")
    return {
        "fake_responses": {
            entry_path("file", DAEMON): answered("kind", "file", *at),
            f"text claude {DAEMON}": answered("text", DAEMON, text_field(text)),
        }
    }


OWN = json.dumps({"data-root": "/srv/docker", "log-driver": "json-file"})


def test_keys_of_a_persons_own_daemon_json_are_not_lost() -> None:
    said = stopped(daemon(OWN))
    assert f'{DAEMON} has "data-root": "/srv/docker", which the settings do not; write it in' in said
    assert "log-driver" not in said
    assert "is no daemon.json that can be read" in stopped(daemon("{"))
    seen = deploy({**daemon(OWN), "rootless_docker": {"daemon": {"data-root": "/srv/docker"}}})
    (content,) = {each["stdin"] for each in seen.sent if DAEMON in each["command"] and "data-root" in each["stdin"]}
    assert json.loads(content) == {"data-root": "/srv/docker", "log-driver": "local"}


def test_a_mount_below_a_home_that_goes_stops_remove_before_it() -> None:
    mounted = {"fake_responses": {"/proc/self/mountinfo": answered(claimed("/home/claude/share\n"))}}
    theirs = merge(manifest(Entry("user", "claude")), mounted)
    said = stopped({**theirs, "remove": {"homes": True}}, "remove.py")
    assert "/home/claude/share: something else is mounted there" in said
    deploy(theirs, file="remove.py")  # the home stays


def _docker(*lines: str) -> dict[str, Any]:
    return {
        "fake_responses": {
            "echo there": answered(claimed("there\n")),
            "docker volume ls": answered(claimed("".join(f"{line}\n" for line in lines))),
            f"{MAX_TEXT} entries": answered(),
        }
    }


def test_what_a_rootless_docker_holds_is_named_and_stays() -> None:
    seen = deploy(_docker("container db", "container x ours", "volume v", "answered"), file="remove.py")
    assert "/home/claude/.local/share/docker stays: container db, volume v" in seen.stderr
    assert not [each for each in seen.sent if "rootlesskit rm" in each["command"]]


def test_a_docker_that_does_not_answer_keeps_what_it_holds() -> None:
    seen = deploy(_docker("container db"), file="remove.py")
    assert "/home/claude/.local/share/docker stays: its Docker does not say what it holds" in seen.stderr
    assert not [each for each in seen.sent if "rootlesskit rm" in each["command"]]
    assert [each for each in deploy(_docker("answered"), file="remove.py").sent if "rootlesskit rm" in each["command"]]


def test_subordinate_ids_that_somebody_changed_are_given_back() -> None:
    entry = Entry("subids", "claude", "100000", "100000").to_json()
    told = user_answered("passwd claude:x:1000:1000::/home/claude:/bin/bash", "subuid claude:300000:65536",
                         "subgid claude:300000:65536", f"entry {entry}")  # fmt: skip
    seen = deploy({"fake_responses": {"getent passwd claude": told}})
    (command,) = {each["command"] for each in seen.sent if "subuid.signalbox-new" in each["command"]}
    assert "printf '%s\\n' claude:100000:65536" in command
    assert "grep -vxF claude:100000:65536 /etc/subgid" in command


def test_a_package_that_gave_way_comes_back_when_what_it_gave_way_to_goes_and_not_before() -> None:
    gave_way = Entry("replaced", "docker-ce", "5:28.0.0-1", "docker.io")

    def comes_back(**settings: Any) -> bool:
        sent = deploy({**manifest(gave_way), **settings}).sent
        return any(" install docker-ce=5:28.0.0-1 ||" in each["command"] for each in sent)

    assert not comes_back()
    assert comes_back(rootless_docker={"enabled": False}, gateway={"enabled": False})

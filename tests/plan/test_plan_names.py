"""The names of operations are what people read in a plan: unique, the state that is reached, never a secret."""

from __future__ import annotations

import json
import re
import resource
from collections import Counter
from functools import cache
from typing import Any

import pytest

from tests.plan.simulated import HOST, SECRETS, Deploy, deploy

ONE_USER = {"gateway": {"user": None}}
FOUNDRY = {
    "clouds": {
        "foundry": {
            "enabled": True,
            "resource": "example",
            "models": {"foundry-claude-sonnet-4-6": {"id": "claude-sonnet-4-6"}},
        }
    }
}
VARIANTS: dict[str, dict[str, Any]] = {
    "first guide": {},
    "one user": ONE_USER,
    "foundry": FOUNDRY,
    "sudo": {"connection": {"sudo": True}},
    "sudo with a password": {"connection": {"sudo": True, "sudo_password": "ADMIN_PASSWORD"}},
    "the agent has sudo": {"service_user": {"sudo": "password", "password": "CLAUDE_PASSWORD"}},
    "docker from upstream": {"rootless_docker": {"source": "docker"}},
    "widest": {
        "gateway": {"user": "keeper"},
        **FOUNDRY,
        "base": {"timezone": "Europe/Berlin", "unattended_upgrades": False},
        "mirrors": {"debian": "http://mirror.example.com/debian"},
        "rootless_docker": {"host_loopback": True, "registry_mirrors": ["https://mirror.example"]},
    },
}
# A name says how things are, so it holds one of these and does not begin with an order.
STATE = re.compile(
    r"\b(is|are|has|have|exists?|starts?|runs?|uses?|loads?|knows?|trusts|may|does not|holds?)\b|Claude Code's own"
)
ORDER = re.compile(r"\| (\w+: )?(Install|Create|Add|Remove|Set|Configure|Start|Stop|Enable|Run|Write|Ensure|Make)\b")


@cache
def carried_out(variant: str) -> Deploy:
    return deploy(VARIANTS[variant])


every_variant = pytest.mark.parametrize("variant", VARIANTS)


@every_variant
def test_each_operation_has_one_name_of_its_own(variant: str) -> None:
    seen = carried_out(variant)
    assert len(seen.operations) > 40
    assert [name for name, count in Counter(seen.names).items() if count > 1] == []
    # An operation without a name= is called by its function, and shows its arguments.
    assert [each for each in seen.operations if len(each["names"]) != 1 or each["arguments"]] == []


@every_variant
def test_names_say_the_state_that_is_reached(variant: str) -> None:
    names = carried_out(variant).names
    assert [name for name in names if not STATE.search(name.split("|", 1)[1]) or ORDER.search(name)] == []


@every_variant
def test_names_tell_their_task(variant: str) -> None:
    tasks = [name.split(" | ")[0] for name in carried_out(variant).names]
    order = [
        "Base",
        "Service user",
        "Guard",
        "Firewall",
        "SSH",
        "fail2ban",
        "Rootless Docker",
        "Toolchain",
        "Secrets",
        "Gateway",
        "Hardening",
        "Programs",
        "Launchers",
        "Doctor",
        "Leftovers",
    ]
    assert list(dict.fromkeys(tasks)) == order  # preflight changes nothing, so it has no operation


@every_variant
def test_no_secret_is_shown_or_sent_in_a_command(variant: str) -> None:
    seen = carried_out(variant)
    shown = [seen.stdout, seen.stderr, *seen.names, *(each["command"] for each in seen.sent)]
    for value in SECRETS.values():
        assert [text[:200] for text in shown if value in text] == []


def test_no_secret_is_shown_when_pyinfra_is_asked_for_all() -> None:
    seen = deploy(VARIANTS["the agent has sudo"], "-y", "-vvv", "--diff")
    for value in SECRETS.values():
        assert value not in seen.stdout + seen.stderr
    assert "log-driver" in seen.stderr  # so contents of files were shown


def test_secrets_travel_over_stdin() -> None:
    # The control of the two tests above: the values are there, and would be found.
    stdin = "".join(each["stdin"] for each in carried_out("the agent has sudo").sent)
    assert SECRETS["ANTHROPIC_DIRECT_KEY"] in stdin
    assert SECRETS["CLAUDE_PASSWORD"] in stdin


def test_a_plan_lists_every_operation_of_a_bare_host() -> None:
    dry = deploy({}, "--dry")
    plan = json.loads(dry.stdout)["plan"]
    assert [each["name"] for each in plan] == carried_out("first guide").names
    assert [each["name"] for each in plan if HOST not in each["hosts_with_change"]] == NOTHING_TO_DO


# What finds nothing to do on a host that answers every question with nothing.
NOTHING_TO_DO = [
    "Base | the system trusts extra_ca_certificates",
    "Base | security updates have nothing in their way",
    "Service user | claude has no sudo",
    "Guard | no change that could lock you out has been left unconfirmed",
    "Firewall | Debian's own is known with that",
    "SSH | it is known where deploys come from",
    "fail2ban | it is known where deploys come from",
    "fail2ban | Debian's firewall is known with that",
    "fail2ban | fail2ban's limits for sshd are in effect",
    "Rootless Docker | root's Docker does not run",
    "Rootless Docker | kernel modules are loaded",
    "Rootless Docker | claude: what runs in a Docker of their own is known",
    "Rootless Docker | litellm: what runs in a Docker of their own is known",
    "Gateway | litellm alone runs a gateway of ours",
    "Hardening | no later file has another word on the kernel's settings at boot",
    "Hardening | the home of claude is private",
    "Hardening | the home of litellm is private",
    "Hardening | updates have no reboot of Signalbox's",
    "Leftovers | nothing is left of what earlier settings asked for",
]


def test_a_host_is_planned_in_less_than_a_second() -> None:
    def seconds(others: int) -> float:
        # Of processor time: how busy this machine is besides does not count.
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        deploy({}, "--dry", others=others)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert 0 < (seconds(8) - seconds(0)) / 8 < 1

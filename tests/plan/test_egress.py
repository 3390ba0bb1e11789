"""What the service user may send with is worked out on the host: its ids there, and no others."""

from __future__ import annotations

import re

import pytest

from signalbox.desired.firewall import RULES, SENDERS
from signalbox.shell.manifest import Entry
from tests.answers import user_answered
from tests.plan.simulated import deploy

ACCOUNT = "passwd claude:x:1000:1000::/home/claude:/bin/bash"
RANGE = "subuid claude:100000:65536"
ENTRY = f"entry {Entry('subids', 'claude', hash='100000').to_json()}"


def held(*lines: str) -> str:
    """Return what is held in the rules that a host with these answers about the user gets."""
    data = {
        "firewall": {"egress": {"enabled": True}},
        "fake_responses": {"getent passwd claude": user_answered(*lines)},
    }
    (rules,) = {each["stdin"] for each in deploy(data).sent if f"cat > {RULES}" in each["command"]}
    assert SENDERS not in rules
    (found,) = re.findall(r"meta skuid (.*) jump egress", rules.replace("meta skuid 65536-", ""))
    return str(found)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((ACCOUNT, RANGE), "{ 1000, 100000-165535 }"),
        ((ACCOUNT, RANGE, "subuid 1000:300000:10", "subuid other:400000:10"), "{ 1000, 100000-165535, 300000-300009 }"),
        ((ACCOUNT, ENTRY), "{ 1000, 100000-165535 }"),  # lost, and given back before the rules are loaded
        ((ACCOUNT,), "{ 1000 }"),
        ((), '"claude"'),  # nft says that it is not there
    ],
)
def test_all_ids_of_the_user_are_held(lines: tuple[str, ...], expected: str) -> None:
    assert held(*lines) == expected


def test_without_egress_nothing_is_held() -> None:
    (rules,) = {each["stdin"] for each in deploy().sent if f"cat > {RULES}" in each["command"]}
    assert "skuid" not in rules

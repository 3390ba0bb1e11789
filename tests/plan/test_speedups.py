"""What only makes a run faster changes nothing of it."""

from __future__ import annotations

import pprint
import re
from typing import Any

import pytest

from tests.plan.simulated import deploy

OFF = {"SIGNALBOX_SPEEDUPS": "off"}
SETTINGS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "with sudo": {"ssh_user": "admin", "connection": {"sudo": True, "sudo_password": "ADMIN_PASSWORD"}},
    "one user": {"gateway": {"user": None}},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("how", ["-y", "--dry"])
def test_a_run_is_the_same_without_them(name: str, how: str) -> None:
    fast, plain = deploy(SETTINGS[name], how), deploy(SETTINGS[name], how, environment=OFF)
    assert fast.operations == plain.operations
    assert fast.wanted == plain.wanted
    assert _without_tokens(fast.sent) == _without_tokens(plain.sent)
    assert fast.stdout == plain.stdout


def _without_tokens(sent: object) -> str:
    """Return what was sent, without what each hand-over of the gateway makes at random to be known by."""
    return re.sub(r"echo [0-9a-f]{16} > token", "echo … > token", pprint.pformat(sent))

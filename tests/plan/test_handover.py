"""A restart of litellm.service begins with a hand-over, and a plan says nothing of it."""

from __future__ import annotations

from signalbox.shell import handover
from tests.answers import answered, claimed
from tests.plan.simulated import SECRETS, deploy
from tests.plan.test_plan_names import carried_out

ASKED = "ActiveState --value signalbox-handover.service"
GOING = {"fake_responses": {ASKED: answered(claimed("activating\ntheirs\nwaits 2\n"))}}


def test_a_restart_is_handed_over_and_done_plainly_where_the_host_does_not_say_how_it_went() -> None:
    seen = carried_out("first guide")
    (at,) = [at for at, each in enumerate(seen.sent) if handover.BEGIN in each["command"]]
    program = seen.sent[at]["stdin"]
    assert "ExecStopPost=+/bin/sh" in program
    assert "systemctl --user restart litellm.service" in program
    assert not [secret for secret in SECRETS.values() if secret in program]
    after = [each["command"] for each in seen.sent[at + 1 :]]
    (plain,) = [each for each in after if "restart litellm.service" in each]
    assert handover.OVER in plain
    assert "without a stand-in, and answers nobody meanwhile: the host does not say why" in seen.stderr


def test_a_plan_says_and_does_nothing_of_it() -> None:
    dry = deploy({}, "--dry")
    assert not [each for each in dry.sent if "handover" in each["command"] or "handover" in each["stdin"]]
    assert "stand-in" not in dry.stdout + dry.stderr


def test_a_removal_ends_one_that_goes_on() -> None:
    assert [each for each in deploy(GOING, file="remove.py").sent if handover.OVER in each["command"]]
    assert not [each for each in deploy({}, file="remove.py").sent if handover.OVER in each["command"]]

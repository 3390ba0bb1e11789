"""Where nobody logs in, no key is proven: so it is in pull mode, and so it is on a simulated host."""

from __future__ import annotations

from signalbox.desired.sshd import DROP_IN
from tests.answers import answered
from tests.plan.simulated import Deploy, deploy
from tests.plan.test_plan_names import carried_out

WHY = "password login stays on: this deploy does not come over SSH"


def drop_in(seen: Deploy) -> str:
    (content,) = {each["stdin"] for each in seen.sent if f"cat > {DROP_IN}" in each["command"]}
    return content


def test_without_ssh_password_login_stays_on_and_the_deploy_says_why() -> None:
    seen = carried_out("first guide")
    assert "PermitRootLogin prohibit-password" in drop_in(seen)
    assert "PasswordAuthentication" not in drop_in(seen)
    assert WHY in seen.stderr
    assert "no fresh login proves the change of sshd" in seen.stderr


def test_password_login_that_is_off_already_stays_off() -> None:
    seen = deploy(
        {"fake_responses": {"sshd -T -C": answered("changed", "", "effective", "passwordauthentication no\n")}}
    )
    assert "PasswordAuthentication no" in drop_in(seen)
    assert WHY not in seen.stderr

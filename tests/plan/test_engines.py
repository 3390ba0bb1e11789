"""A Docker of a user's own: what it holds stays in view, and what runs in it is begun again."""

from __future__ import annotations

import pytest

from signalbox.shell.manifest import Entry
from signalbox.shell.originals import original_of
from tests.answers import answered, claimed
from tests.plan.simulated import Deploy, deploy
from tests.plan.test_kept import stopped
from tests.plan.test_leftovers import manifest, recorded

pytestmark = pytest.mark.slow

UNIT = "/home/claude/.config/systemd/user/docker.service"
RUNS = {
    "show claude-doctor.timer docker.service": answered(
        claimed("Id=docker.service\nActiveState=active\nUnitFileState=enabled\n")
    ),
    "docker ps --format": answered(claimed("pages\nlitellm ours\n")),
}
THEIRS = {
    f"hash claude {UNIT}": answered("kind", "file", "at", UNIT, "f", "644", "claude", "claude", "", "", "9", "1-1")
}


def restarts(seen: Deploy) -> list[str]:
    return [each["command"] for each in seen.sent if "restart docker.service" in each["command"]]


@pytest.mark.parametrize("told", ["vfs\n", "overlayfs\n"])
def test_containers_that_another_driver_would_not_find_stop_a_deploy_before_it(told: str) -> None:
    said = stopped({"fake_responses": {"ls image": answered(claimed(told))}})
    driver = told.strip()
    assert f"by the driver {driver}, and Docker would take another one and not find them; nothing was changed" in said
    assert f'write rootless_docker.daemon = {{"storage-driver": "{driver}"}}' in said


@pytest.mark.parametrize("told", ["overlay2\n", "vfs\noverlay2\n", "fuse-overlayfs\n"])
def test_what_docker_finds_by_itself_needs_no_word(told: str) -> None:
    deploy({"fake_responses": {"ls image": answered(claimed(told))}})


def test_the_settings_word_keeps_the_driver() -> None:
    responses = {"fake_responses": {"ls image": answered(claimed("vfs\n"))}}
    daemon = {"rootless_docker": {"daemon": {"storage-driver": "vfs"}}}
    told = stopped({**responses, **daemon})  # the gateway's user has it too, whose Docker has no settings of its own
    assert "litellm has containers or images of Docker" in told
    assert "claude has containers" not in told


def test_what_runs_in_a_docker_that_is_restarted_is_begun_again() -> None:
    commands = restarts(deploy({"fake_responses": RUNS}))
    assert commands
    assert all("docker ps --no-trunc" in each and "docker start $c" in each for each in commands)
    idle = restarts(deploy())
    assert idle
    assert not any("docker start" in each for each in idle)


def test_what_ran_in_a_docker_of_theirs_is_known_and_runs_again_after_us() -> None:
    seen = deploy({"fake_responses": {**RUNS, **THEIRS}})
    assert ("stopped", "claude:docker.service") in recorded(seen)
    (record,) = {each["command"] for each in seen.sent if '"claude:docker.service"' in each["command"]}
    assert '"hash": "pages"' in record
    known = manifest(Entry("stopped", "claude:docker.service", "pages"))
    sent = [each["command"] for each in deploy(known, file="remove.py").sent]
    assert any("docker start pages" in each for each in sent)


def test_a_docker_of_theirs_whose_package_is_away_is_named_and_waits_for_it() -> None:
    """The settings name another user: what is claude's of ours goes, while docker.io stays for the other."""
    original = original_of("file", UNIT)
    entries = [
        Entry("stopped", "claude:docker.service", "pages"),
        Entry("file", UNIT, "0" * 64, original),
        Entry("replaced", "docker-ce", "5:28.0.0-1", "docker.io"),
    ]
    renamed = deploy({**manifest(*entries), "service_user": {"name": "agent"}})
    commands = [each["command"] for each in renamed.sent]
    assert any(f"rm -f {UNIT}" in each for each in commands)
    assert not any("docker start pages" in each for each in commands)
    off = {name: {"enabled": False} for name in ("rootless_docker", "gateway", "secrets", "launchers", "doctor")}
    back = [each["command"] for each in deploy({**manifest(*entries), **off}).sent]
    install = next(place for place, each in enumerate(back) if " install docker-ce=5:28.0.0-1 ||" in each)
    begun = next(place for place, each in enumerate(back) if "docker start pages" in each)
    assert install < begun

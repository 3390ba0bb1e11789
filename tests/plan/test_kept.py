"""What somebody has on a machine, and a deploy would take away, stops it before anything is changed."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from signalbox.facts.look import MAX_TEXT
from signalbox.settings.layers import merge
from signalbox.shell.manifest import Entry, entry_path
from tests.answers import answered, claimed, text_field, user_answered
from tests.good_settings import GOOD
from tests.plan.simulated import Deploy, deploy
from tests.plan.test_leftovers import manifest
from tests.plan.test_plan_machines import machine

pytestmark = pytest.mark.slow

APT = "apt-cache pkgnames"
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
    assert any('"hash": "1.7.27-1 auto", "id": "containerd.io"' in each for each in records)


def test_a_clock_that_is_there_is_enough() -> None:
    chrony = {"fake_responses": {"time-daemon": answered("chrony\n")}}

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
    assert "l0=claude:100000:65536 awk" in command


def test_a_package_that_gave_way_comes_back_when_what_it_gave_way_to_goes_and_not_before() -> None:
    gave_way = Entry("replaced", "docker-ce", "5:28.0.0-1 auto", "docker.io")

    def comes_back(**settings: Any) -> bool:
        sent = deploy({**manifest(gave_way), **settings}).sent
        again = [each["command"] for each in sent if " install docker-ce=5:28.0.0-1 ||" in each["command"]]
        assert all("apt-mark auto docker-ce" in each for each in again)
        return bool(again)

    assert not comes_back()
    assert comes_back(rootless_docker={"enabled": False}, gateway={"enabled": False})


def test_a_key_that_stands_with_options_is_not_put_beside_them() -> None:
    (key,) = GOOD["service_user"]["authorized_keys"]
    line = f'from="192.0.2.0/24" {" ".join(key.split()[:2])} mine\n'

    def adds(keys: str) -> bool:
        there = answered("passwd", "claude:x:1000:1000::/home/claude:/bin/bash", "text", "keys", text_field(keys))
        sent = deploy({"fake_responses": {"getent passwd claude": there}}).sent
        return any('"kind": "key"' in each["command"] for each in sent)

    assert not adds(line)
    assert adds(f"# {line}")


MISE = """#!/bin/sh
[ "$1" = install ] || exit 0
# A person's ~/.config/mise/config.toml counts wherever mise is started below the home.
case "$PWD/" in "$HOME"/*) echo 20 > "$HOME/config"; exit 1;; esac
new=$MISE_DATA_DIR/installs/node/22.23.3
mkdir -p $new/bin $new/lib/node_modules/npm && echo 'echo 11' > $new/bin/npm && chmod 755 $new/bin/npm
[ ! -e $HOME/full ] || { echo 'No space left on device' >&2; exit 1; }
"""


def test_another_node_comes_beside_the_one_that_is_there_and_takes_its_place_whole(tmp_path: Path) -> None:
    (command,) = {each["command"] for each in deploy({}).sent if "mise install --yes" in each["command"]}
    script = max((word for word in shlex.split(command) if "mise install" in word), key=len)
    home, node = tmp_path / "home", tmp_path / "home/.local/share/mise/installs/node/22.23.3"
    (home / "bin").mkdir(parents=True)
    # As Debian 13's, of which --update=none is new.
    for program, text in (("mise", MISE), ("cp", '#!/bin/sh\nshift 2; exec /bin/cp -an "$@"\n')):
        (home / "bin" / program).write_text(text)
        (home / "bin" / program).chmod(0o755)
    for part in ("bin/theirs", "lib/node_modules/theirs/package.json"):
        (node / part).parent.mkdir(parents=True)
        (node / part).write_text("theirs")

    def run() -> int:
        environment = {"HOME": str(home), "PATH": f"{home}/bin:/usr/bin:/bin"}
        words = ["sh", "-c", script.replace("/home/claude", str(home))]
        return subprocess.run(words, env=environment, capture_output=True, check=False, timeout=20).returncode

    def files() -> set[str]:
        return {str(each.relative_to(node)) for each in node.rglob("*") if not each.is_dir()}

    (home / "full").touch()
    theirs = files()
    kept = home / ".local/share/signalbox/node-22.23.3.kept"
    for killed in (False, True):  # as a run that was killed between its two moves has left it
        if killed:
            kept.parent.mkdir(parents=True, exist_ok=True)
            node.rename(kept)
        assert run() != 0
        assert files() == theirs
    (home / "full").unlink()
    assert run() == 0
    assert files() == theirs | {"bin/npm", "bin/node", "lib/node_modules/npm/npmrc"}
    assert (node / "bin/node").readlink() == Path("/usr/local/lib/signalbox/node-22.23.3/bin/node")
    assert not kept.exists()
    assert not (home / ".local/share/signalbox/mise.new").exists()


CLAUDE = "passwd claude:x:1000:1000::/home/claude:/bin/bash"


def test_an_account_that_had_expired_is_valid_as_long_as_we_are_there() -> None:
    expired = user_answered(CLAUDE, "has expired", "expires 11323")
    sent = [each["command"] for each in deploy({"fake_responses": {"getent passwd claude": expired}}).sent]
    (command,) = (each for each in sent if "usermod --expiredate" in each)
    assert f"{json.dumps({'hash': '', 'id': 'claude', 'kind': 'expiry', 'original': '11323'})}" in command
    assert "--shell" not in command
    shell = user_answered(CLAUDE.replace("bash", "dash"))
    sent = [each["command"] for each in deploy({"fake_responses": {"getent passwd claude": shell}}).sent]
    assert [each for each in sent if "usermod --shell /bin/bash claude" in each], "a day to come was taken away"
    told = manifest(Entry("expiry", "claude", original="11323"))
    sent = [each["command"] for each in deploy(told, file="remove.py").sent]
    assert [each for each in sent if "chage --expiredate 11323 claude" in each]


OFF = json.dumps({"hash": "off", "id": "claude", "kind": "linger", "original": None})
NO_SERVICES = {name: {"enabled": False} for name in ("rootless_docker", "gateway", "secrets", "launchers", "doctor")}


def test_whoever_lingered_before_us_lingers_after_us() -> None:
    def sent(told: list[str], settings: dict[str, Any], file: str = "deploy.py") -> list[str]:
        seen = deploy(merge({"fake_responses": {"getent passwd claude": told}}, settings), file=file)
        return [each["command"] for each in seen.sent if "linger" in each["command"]]

    lingers = user_answered(CLAUDE, "has linger")
    # Its bus came later: it is started, and nothing says that it lingers because of us.
    assert not [each for each in sent(lingers, {}) if '"kind": "linger"' in each and "claude" in each]
    off = merge({"service_user": {"linger": False}}, NO_SERVICES)
    (command,) = (each for each in sent(lingers, off) if "disable-linger claude" in each)
    assert OFF in command
    (command,) = sent(user_answered(CLAUDE), manifest(Entry("linger", "claude", "off")), "remove.py")
    assert "loginctl enable-linger claude" in command
    (command,) = sent(user_answered(CLAUDE), manifest(Entry("linger", "claude")), "remove.py")
    assert "loginctl disable-linger claude" in command

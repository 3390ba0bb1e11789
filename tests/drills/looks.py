"""Looks at hosts from outside the tool: over plain ssh, as a person would, and into the model servers' request logs."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from typing import Any

from tests.drills.stage import HOST, Stage
from tests.lab import access, hosts
from tests.lab.instance import Lab
from tests.lab.machine import wait_until

GATEWAY = "curl --fail --silent --max-time 5 http://127.0.0.1:4000/health/liveliness"
# Whose units an always-on host runs; the gateway and its keys belong to a user of their own.
GATEWAY_USER = "litellm"
UNITS = {"claude": "docker.service", GATEWAY_USER: "docker.service litellm.service"}
# What a host writes without being asked to: logs, state of running services, container storage.
QUIET = (
    "/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp",  # noqa: S108 (the host's)
    "/var/log", "/var/cache", "/var/lib/apt", "/var/lib/systemd", "/var/lib/fail2ban", "/var/lib/signalbox/audit",
    "/home/*/.local/share/docker", "/home/*/.cache", "/home/*/.claude*",
    "/home/*/.local/state",
)  # fmt: skip


def answer(command: str, *, host: str = HOST, user: str = "claude", timeout: float = 240) -> str:
    """Return what the command prints on the host; AssertionError with both streams unless it ends with 0."""
    done = hosts.run(host, command, user=user, check=False, timeout=timeout)
    assert done.returncode == 0, f"{command!r} ended with {done.returncode}: {_told(done)}"
    return done.stdout.strip()


def login(user: str, *, host: str = HOST, version: int = 4) -> None:
    """AssertionError unless `user` logs in anew over this version of IP, by plain ssh."""
    options = ("-o", f"HostName={hosts.address(host, version)}", "-o", "ConnectTimeout=3")
    line = [*access.ssh(Lab.current(), host, user, *options), "true"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, f"{user} cannot log in: {_told(done)}"


def _told(done: subprocess.CompletedProcess[str]) -> str:
    return f"{done.stdout}{done.stderr}".strip()[-1500:]


def quoted(words: str) -> str:
    """Return the words as one word of the host's shell."""
    return shlex.quote(words)


def user_units(*, host: str = HOST) -> None:
    """AssertionError unless Docker and the gateway run and are enabled, asked as root, without a login of the user.

    The gateway answers a moment before its unit is active: the unit's own start check comes after the first answer.
    """

    def states(verb: str) -> list[str]:
        return _ask_units(f"{verb} {{}} || true", host).split()

    def managers() -> list[str]:
        units = " ".join(f"user@$(id -u {user}).service" for user in UNITS)
        return answer(f"systemctl is-active {units} || true", host=host, user="root").split()

    # First: whoever asks a user's manager by --machine logs in and thereby starts it.
    assert wait_until(lambda: set(managers()) == {"active"}, 60, 0.5), f"{', '.join(UNITS)}: {managers()}"
    wait_until(lambda: "activating" not in states("is-active"), 60, 0.5)
    for verb, word in (("is-active", "active"), ("is-enabled", "enabled")):
        seen = states(verb)
        assert seen == [word] * 3, f"{UNITS}: {seen}"


def _ask_units(words: str, host: str) -> str:
    """Return what `systemctl --user` says of the units of each user; {} in `words` is where they are named."""
    asked = [f"systemctl --user --machine={user}@.host {words.format(units)}" for user, units in UNITS.items()]
    return answer("; ".join(asked), host=host, user="root")


def gateway(*, host: str = HOST, port: int = 4000) -> None:
    """AssertionError unless the gateway answers on the host's loopback."""
    answer(GATEWAY.replace("4000", str(port)), host=host, user="root", timeout=30)


def gateway_within(seconds: float, *, host: str = HOST) -> bool:
    """Return whether the gateway answers within so many seconds."""

    def answers() -> bool:
        return hosts.run(host, GATEWAY, check=False, timeout=30).returncode == 0

    return wait_until(answers, seconds, 0.5)


def mark(*, host: str = HOST) -> None:
    """Remember this moment on the host, for `written`."""
    answer("touch /run/drill-mark && sleep 0.05", host=host, user="root")


def written(*, host: str = HOST, but: Sequence[str] = ()) -> list[str]:
    """Return the files, directories and links of the host that were changed since `mark`, quiet ones aside."""
    prune = " -o ".join(f"-path '{path}'" for path in (*QUIET, *but))
    find = f"find / \\( {prune} \\) -prune -o -newercm /run/drill-mark -print"
    return answer(find, host=host, user="root").splitlines()


def started(*, host: str = HOST) -> str:
    """Return what tells the current runs of Docker, the gateway and its container: one is restarted or replaced."""
    docker = f"runuser -u {GATEWAY_USER} -- docker -H unix:///run/user/$(id -u {GATEWAY_USER})/docker.sock"
    newest = answer(f"{docker} ps -q --filter label=signalbox=gateway | head -n1", host=host, user="root")
    return f"{_ask_units('show -p InvocationID --value {}', host)}\n{newest}"


def have_shell(name: str) -> None:
    """Have Debian's zsh or fish on the shared host, which only some people install."""
    install = f"apt-get -q update && apt-get -yq install {name}"
    answer(f"command -v {name} >/dev/null || {{ {install}; }}", user="root", timeout=300)


def chats(stage: Stage, server: str) -> list[dict[str, Any]]:
    """Return the requests for an answer that this simulated server has served, oldest first."""
    paths = ("/v1/messages", "/v1/chat/completions")
    return [each for each in stage.simulators.requests(server) if each["path"] in paths and each["status"] == 200]


def served(stage: Stage, server: str, words: str) -> dict[str, Any]:
    """Return the first request of this server that holds `words`; AssertionError when it was never asked."""
    seen = chats(stage, server)
    for request in seen:
        if words in str(request["body"]):
            return request
    raise AssertionError(f"none of {len(seen)} requests that {server} answered holds {words!r}")


def opening(stage: Stage, server: str) -> dict[str, Any]:
    """Return the body of the first request of a session, which has an agent's tools, that this server has answered."""
    bodies = [each["body"] for each in chats(stage, server) if isinstance(each["body"], dict)]
    return next(body for body in bodies if len(body.get("tools") or ()) > 3)

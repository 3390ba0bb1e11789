"""What an agent can get at, with a gateway of another user's and with one of its own."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.drills import looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.record import PROJECT
from tests.drills.stage import HOST, Stage, lab_host
from tests.drills.swap import at_rest, containers, none_lost, said, under_way
from tests.drills.tampers import OUR_GATEWAY_KEY, THEIR_GATEWAY_KEY
from tests.lab import hosts, services
from tests.lab.machine import wait_until

drill = Drill(
    "keyless",
    "the agent does not get a provider's key",
    "As claude, at least ten ways to get a provider key with `gateway.user: litellm`; none works; the same with one "
    "UID, and which do. Rotation of the gateway's key: seconds of gateway downtime, requests lost.",
)

TRIES = Path(__file__).with_name("agent_tries.py").read_text()
ONE = lab_host("one")
NAME = "ANTHROPIC_DIRECT_KEY"


def _tried(user: str, owner: str, *names: str, host: str = HOST) -> dict[str, bool]:
    """Return of each try whether `user` saw the provider's key; AssertionError when there was no gateway to attack."""
    looks.gateway(host=host)
    key = services.environment()[NAME]
    command = f"python3 - {owner} {' '.join(names)}"
    if user not in ("claude", "root"):  # one who cannot log in
        user, command = "root", f"runuser -u {user} -- env XDG_RUNTIME_DIR=/run/user/$(id -u {user}) {command}"
    told: dict[str, Any] = json.loads(hosts.run(host, command, user=user, stdin=TRIES, timeout=400).stdout)
    return {f"{name} ({each['does']})": key in each["text"] for name, each in told.items()}


def _table(tried: dict[str, bool]) -> Figures:
    return {name: "GOT IT" if got else "nothing" for name, got in tried.items()}


@drill.cell("own-user", fixed=True)
def own_user(stage: Stage) -> Figures:
    """With the gateway as another user (the default), no try gets a provider's key."""
    stage.converged()
    tried = _tried("claude", looks.GATEWAY_USER)
    got = [name for name, reached in tried.items() if reached]
    assert len(tried) >= 10, "too few tries"
    assert not got, f"the agent got the provider's key: {got}"
    # The control: the gateway's own user gets it by the same means, and would be seen.
    reading = ("decrypt_file", "read_memory_file", "docker_exec", "environments")
    control = _tried(looks.GATEWAY_USER, looks.GATEWAY_USER, *reading)
    assert all(control.values()), f"control: the gateway's own user does not get it by all of {control}"
    return {
        "tries": len(tried),
        "got it": 0,
        "control": f"as the gateway's own user {sum(control.values())} of {len(control)} of the same get it",
        **_table(tried),
    }


# Memory in MiB of what a user has running before any container: its share of what is shared (Pss).
ENGINES = """
import pathlib, pwd
users = {each.pw_uid for each in pwd.getpwall() if each.pw_name in ("claude", "litellm")}
names = {"systemd", "(sd-pam)", "dbus-daemon", "rootlesskit", "exe", "slirp4netns", "dockerd", "containerd"}
total = 0
for each in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        if each.stat().st_uid in users and (each / "comm").read_text().strip() in names:
            total += next(int(line.split()[1]) for line in (each / "smaps_rollup").open() if line.startswith("Pss:"))
    except OSError:
        pass
print(total / 1024)
"""
# Microseconds from the boot of the host to a gateway that answers; less than 0 before that.
BOOTED = (
    "$(( $(systemctl --user --machine={user}@.host show -p ActiveEnterTimestampMonotonic --value litellm.service)"
    " - $(systemctl show -p UserspaceTimestampMonotonic --value) ))"
)
BOOTS = 3  # of each; the fastest counts, as whatever else this machine does only slows them down


def _costs(host: str, user: str) -> tuple[float, float]:
    """Return MiB of both users' managers and engines, and seconds from the boot to the gateway's first answer."""
    memory, seconds = [], []
    for _ in range(BOOTS):
        hosts.reboot(host)
        assert looks.gateway_within(180, host=host), "the gateway did not answer"
        took = BOOTED.format(user=user)
        look = f"for i in $(seq 100); do took={took}; [ $took -gt 0 ] && break; sleep 0.2; done; echo $took"
        seconds.append(int(looks.answer(look, host=host, user="root")) / 1e6)
        memory.append(float(hosts.run(host, "python3 -", stdin=ENGINES).stdout))
    return min(memory), min(seconds)


@drill.cell("one-uid")
def one_uid(stage: Stage) -> Figures:
    """With one user for the agent and the gateway (gateway.user = None), which tries get it; and what that saves."""
    stage.converged()
    stage.bare(ONE)
    stage.site(ONE, settings={"gateway": {"user": None}}).deploy().ok()
    tried = _tried("claude", "claude", host=ONE)
    assert any(tried.values()), "one user, and no try gets the key: then the tries are no good"
    one, two = _costs(ONE, "claude"), _costs(HOST, looks.GATEWAY_USER)
    stage.discard(ONE)
    assert two[0] > one[0] > 10, f"control: two engines have {two[0]:.0f} MiB, one has {one[0]:.0f} MiB"
    return {
        "tries": len(tried),
        "got it": sum(tried.values()),
        "managers and engines": f"{one[0]:.0f} MiB, with a user of the gateway's own {two[0]:.0f} MiB",
        "from boot to the first answer": f"{one[1]:.1f} s, with a user of the gateway's own {two[1]:.1f} s",
        **_table(tried),
    }


# Ten at once ask the gateway until told to stop, read the key again when it is refused, and tell each answer.
ASKS = """
import json, os, subprocess, threading, time, urllib.error, urllib.request
path = os.path.expanduser("~/.config/signalbox/gateway.cred")
words = ["systemd-creds", "--user", "decrypt", "--name=gateway", path, "-"]
body = {"model": "claude-haiku-4-5", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
def key():
    return subprocess.run(words, capture_output=True, text=True).stdout.strip()
def ask(key):
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request("http://127.0.0.1:4000/v1/messages", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)
first, told, end = key(), [], time.monotonic() + 300
def one():
    known = first
    while time.monotonic() < end and not os.path.exists("/tmp/drill-stop"):
        began = time.monotonic()
        status, text = ask(known)
        told.append([began, status, text[:300]])
        if status == 400:
            known = key()
        time.sleep(0.1)
every = [threading.Thread(target=one) for _ in range(10)]
for each in every: each.start()
for each in every: each.join()
print(json.dumps(sorted(told)))
"""
# What every port answers on which the gateway's containers may be, to this key, with and without a relay's word.
PAST = """
import collections, json, urllib.error, urllib.request
told = collections.Counter()
for port in range(24000, 24100):
    for path, body in (("/v1/models", None), ("/v1/messages", json.dumps({"model": "claude-haiku-4-5", "max_tokens": 5,
                       "messages": [{"role": "user", "content": "hi"}]}).encode())):
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json", "x-signalbox-relay": relay}
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
        try:
            with urllib.request.urlopen(request) as answer:
                told[answer.status] += 1
        except urllib.error.HTTPError as error:
            told[error.code] += 1
        except OSError:
            pass
print(json.dumps(told))
"""


def _past_the_supervisor(key: str, relay: str, user: str) -> dict[str, int]:
    """Return how often each status was answered by the ports of the gateway's containers."""
    told = hosts.run(HOST, "python3 -", user=user, stdin=f"key, relay = {key!r}, {relay!r}\n{PAST}", timeout=120).stdout
    return dict(json.loads(told))


def _swaps() -> int:
    """Return how often this run of the gateway has replaced its container."""
    return sum("ends its last" in line for line in said())


def _old_key_past_the_supervisor(old: str) -> str:
    """AssertionError unless the old key is refused at the port of the container that still ends its last requests."""
    run = f"/run/user/$(id -u {looks.GATEWAY_USER})/litellm"
    assert len(containers()) == 2, f"the old container does not run any more: {containers()}"
    refused = _past_the_supervisor(old, "", "claude")
    assert set(refused) == {"404"}, f"asked past the supervisor, with the old key: {refused}"
    oldest = looks.answer(f"cat $(ls -d {run}/[0-9]* | sort -V | head -n1)/secrets/RELAY", user="root")
    answered = _past_the_supervisor(old, oldest, "root")
    assert answered.get("200"), f"control: with its relay's word the old container does not take its key: {answered}"
    return f"{refused['404']} answers, each 404 (with the relay's word {answered['200']} were 200)"


@drill.cell("rotation")
def rotation(stage: Stage) -> Figures:
    """The gateway's key is rotated under load: the new one works, the old one is refused, a session is told."""
    site = at_rest(stage)
    old = looks.answer(OUR_GATEWAY_KEY, user="root")
    session = "sleep 300 | claude-local -p --verbose --input-format stream-json --output-format stream-json"
    looks.answer(f"rm -f /tmp/drill-stop; setsid sh -c {looks.quoted(session)} > /dev/null 2>&1 < /dev/null &")
    looks.answer("for i in $(seq 300); do pgrep -u claude -x claude >/dev/null && exit 0; sleep 0.1; done; exit 1")
    before = _swaps()
    command = [sys.executable, "-c", "from signalbox.commands.cli import main; main()", "secrets", "rotate-gateway-key"]
    with ThreadPoolExecutor(2) as pool:
        asking = pool.submit(hosts.run, HOST, "python3 -", user="claude", stdin=ASKS, timeout=400)
        try:
            time.sleep(3)  # so that there are answers before
            started = time.monotonic()
            rotating = pool.submit(
                subprocess.run, [*command, str(site.inventory())], cwd=PROJECT,
                env={**os.environ, **services.environment()}, capture_output=True, text=True, timeout=400, check=False,
            )  # fmt: skip
            with under_way(stage, 2) as long:  # begun before the new container is there
                wait_until(lambda: _swaps() > before or rotating.done(), 300, 0.5)
                past = _old_key_past_the_supervisor(old)
                done = rotating.result()
                took = time.monotonic() - started
                time.sleep(3)  # and after
            none_lost(long.result())
        finally:
            looks.answer("touch /tmp/drill-stop")
        told = json.loads(asking.result().stdout)
    looks.answer("rm /tmp/drill-stop; pkill -u claude -x claude; true")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "has the old key and will be refused; leave it with /exit" in done.stderr, done.stderr[-2000:]
    new = looks.answer(OUR_GATEWAY_KEY, user="root")
    assert new == looks.answer(THEIR_GATEWAY_KEY, user="root") != old
    well = [began for began, status, _ in told if status == 200]
    lost = [status for _, status, _ in told if status not in (200, 400)]
    refused = [text for _, status, text in told if status == 400]
    assert refused, "the old key was not refused"
    assert all("--continue" in text for text in refused), refused[0]
    assert told[0][1] == told[-1][1] == 200, "the gateway did not answer before, or does not after"

    def works(key: str) -> None:
        ask = f"curl -fs -o /dev/null -H 'Authorization: Bearer {key}' http://127.0.0.1:4000/v1/models"
        looks.answer(ask)

    works(new)
    control = must_fail(lambda: works(old), "the old key")
    assert not site.plan().ok().planned(HOST), "the plan is not clean after the rotation"
    gap = max(later - earlier for earlier, later in itertools.pairwise(well))
    return {
        "command": f"{took:.1f} s",
        "longest time without an answer": f"{gap:.1f} s",
        "requests of ten at once: asked, lost, refused": f"{len(told)}, {len(lost)}, {len(refused)}",
        "under way with the old key": "2, both ended well",
        "the old key past the supervisor, meanwhile": past,
        "the refused are told": refused[0][:200],
        "control": control,
    }

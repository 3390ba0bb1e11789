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
from tests.drills.tampers import OUR_GATEWAY_KEY, THEIR_GATEWAY_KEY
from tests.lab import hosts, services

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


@drill.cell("one-uid")
def one_uid(stage: Stage) -> Figures:
    """With one user for the agent and the gateway (gateway.user = None), which tries get it."""
    stage.bare(ONE)
    stage.site(ONE, settings={"gateway": {"user": None}}).deploy().ok()
    tried = _tried("claude", "claude", host=ONE)
    assert any(tried.values()), "one user, and no try gets the key: then the tries are no good"
    stage.discard(ONE)
    return {"tries": len(tried), "got it": sum(tried.values()), **_table(tried)}


# Asks the gateway without a pause until told to stop, reads the key again when it is refused, and tells each answer.
ASKS = """
import json, os, subprocess, time, urllib.error, urllib.request
path = os.path.expanduser("~/.config/signalbox/gateway.cred")
words = ["systemd-creds", "--user", "decrypt", "--name=gateway", path, "-"]
body = {"model": "local", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
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
known, told, end = key(), [], time.monotonic() + 300
while time.monotonic() < end and not os.path.exists("/tmp/drill-stop"):
    began = time.monotonic()
    status, text = ask(known)
    told.append([began, status, text[:300]])
    if status == 400:
        known = key()
    time.sleep(0.1)
print(json.dumps(told))
"""


@drill.cell("rotation")
def rotation(stage: Stage) -> Figures:
    """The gateway's key is rotated under load: the new one works, the old one is refused, a session is told."""
    site = stage.converged()
    old = looks.answer(OUR_GATEWAY_KEY, user="root")
    session = "sleep 300 | claude-local -p --verbose --input-format stream-json --output-format stream-json"
    looks.answer(f"rm -f /tmp/drill-stop; setsid sh -c {looks.quoted(session)} > /dev/null 2>&1 < /dev/null &")
    looks.answer("for i in $(seq 300); do pgrep -u claude -x claude >/dev/null && exit 0; sleep 0.1; done; exit 1")
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(hosts.run, HOST, "python3 -", user="claude", stdin=ASKS, timeout=400)
        try:
            time.sleep(3)  # so that there are answers before
            command = [sys.executable, "-c", "from signalbox.cli import main; main()", "secrets", "rotate-gateway-key"]
            started = time.monotonic()
            done = subprocess.run(
                [*command, str(site.inventory())], cwd=PROJECT, env={**os.environ, **services.environment()},
                capture_output=True, text=True, timeout=400, check=False,
            )  # fmt: skip
            took = time.monotonic() - started
            time.sleep(3)  # and after
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
        "requests asked, lost, refused": f"{len(told)}, {len(lost)}, {len(refused)}",
        "the refused are told": refused[0][:200],
        "control": control,
    }

"""What an agent can get at, with a gateway of another user's and with one of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.drills import looks
from tests.drills.drill import Drill, Figures
from tests.drills.stage import HOST, Stage
from tests.drills.tampers import FOR_KEEPER, KEY
from tests.lab import hosts, services

drill = Drill(
    "keyless",
    "the agent does not get a provider's key",
    "As claude, at least ten ways to get a provider key with `gateway.user: litellm`; none works; the same with one "
    "UID, and which do. Another user, and the same user on another host with a copied file, cannot decrypt.",
)

TRIES = Path(__file__).with_name("agent_tries.py").read_text()
ONE, OTHER = "d-one", "d-other"
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


@drill.cell("copied")
def copied(stage: Stage) -> Figures:
    """A copied file decrypts for no other user, under no other name, and not on another host for the same user."""
    stage.converged()
    stage.bare(OTHER)
    content = looks.answer(f"base64 -w0 < {KEY}", user="root")
    put = f"install -m 644 /dev/null /tmp/{NAME}.cred && echo {content} | base64 -d > /tmp/{NAME}.cred"

    def decrypts(user: str, host: str = HOST, name: str = NAME) -> str:
        looks.answer(put, host=host, user="root")
        ask = f"runuser -u {user} -- systemd-creds --user decrypt --name={name} /tmp/{NAME}.cred -"
        done = hosts.run(host, ask, check=False)
        return "decrypts" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]

    # The same user in all that counts: name and number.
    uid = looks.answer(f"id -u {looks.GATEWAY_USER}", user="root")
    looks.answer(f"useradd --uid {uid} {looks.GATEWAY_USER}", host=OTHER, user="root")
    looks.answer(f"echo x | {FOR_KEEPER} systemd-creds --user encrypt --name=x - -", host=OTHER, user="root")
    own = decrypts(looks.GATEWAY_USER)
    assert own == "decrypts", f"control: its own user cannot decrypt the copy: {own}"
    seen = {
        "as claude": decrypts("claude"),
        "under another name": decrypts(looks.GATEWAY_USER, name="OTHER"),
        "same user, another host": decrypts(looks.GATEWAY_USER, OTHER),
    }
    assert "decrypts" not in seen.values(), seen
    looks.answer(f"rm /tmp/{NAME}.cred", user="root")
    stage.discard(OTHER)
    return {**seen, "control": "its own user, name and host: decrypts"}

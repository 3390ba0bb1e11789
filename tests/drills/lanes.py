"""Lanes: from every kind of shell the right models answer, and the right account is billed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from tests.drills import looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage
from tests.lab import hosts, services
from tests.lab.machine import wait_until
from tests.lab.simulators.journal import fingerprint

drill = Drill(
    "lanes",
    "each lane from each kind of shell",
    "With the real Claude Code on a lab host: a table lane x shell kind (ssh command, login bash, zsh, tmux, systemd) "
    "x (`-p`, with a tool call): base URL, model, who answered, who is billed.",
)

SERVERS = ("anthropic", "lmstudio")


@dataclass(frozen=True)
class Way:
    """Where a lane goes: the simulated server that answers, through the gateway or past it, the key it is billed to."""

    command: str
    server: str
    through: str
    billed: str | None
    extra: str = ""


ROUTED = Way("claude-routed", "anthropic", "the gateway", "ANTHROPIC_DIRECT_KEY")
LOCAL = Way("claude-local", "lmstudio", "the gateway", None)
PRIVATE = Way("claude-local --private", "lmstudio", "nothing", None)
CLOUD = Way("claude-cloud", "anthropic", "the gateway", "ANTHROPIC_DIRECT_KEY")
API = Way("claude-api", "anthropic", "nothing", "ANTHROPIC_DIRECT_KEY", "--model claude-sonnet-4-6")
WAYS = (ROUTED, LOCAL, PRIVATE, CLOUD, API)

IN_TMUX = (
    "rm -f /tmp/drill-told;"
    " tmux -L drill new-session -d '{command} >/tmp/drill-told 2>&1; tmux -L drill wait-for -S it'"
    " && timeout 60 tmux -L drill wait-for it; cat /tmp/drill-told"
)
SHELLS = {
    "ssh command": "{command}",
    "login bash": "bash -lc {command}",
    "zsh": "zsh -c {command}",
    "tmux": IN_TMUX,
    "systemd": "systemd-run --user --quiet --wait --collect --pipe {command}",
}


def _asked(stage: Stage, way: Way, shell: str, words: str) -> str:
    """Ask in one way from one kind of shell; returns what was seen. AssertionError unless it went where it must."""
    stage.simulators.clear()
    told = looks.answer(SHELLS[shell].format(command="/tmp/drill-ask"), timeout=120)  # noqa: S108 (the host's)
    requests = looks.chats(stage, way.server)
    assert requests, f"{way.server} was not asked; the answer was {told!r}"
    other = next(each for each in SERVERS if each != way.server)
    assert not looks.chats(stage, other), f"{other} was asked too"
    for request in requests:
        past = "claude-cli" in request["headers"].get("user-agent", "")
        assert past == (way.through == "nothing"), f"it went through {'nothing' if past else 'the gateway'}"
        billed = fingerprint(services.environment()[way.billed]) if way.billed else None
        assert way.billed is None or request["credential"] == billed, "another account was billed"
    assert words in told, told
    return str(requests[0]["model"])


@contextmanager
def _asking(way: Way, prompt: str, arguments: str = "") -> Iterator[None]:
    """Have /tmp/drill-ask on the host: what a person would type, without this drill's quoting in the way."""
    line = f"exec {way.command} {way.extra} {arguments} -p {shlex.quote(prompt)}"
    looks.answer(f"printf '%s\\n' '#!/bin/sh' {shlex.quote(line)} > /tmp/drill-ask && chmod 755 /tmp/drill-ask")
    try:
        yield
    finally:
        looks.answer("rm -f /tmp/drill-ask /tmp/drill-told")


def _row(stage: Stage, way: Way, shells: Mapping[str, Any]) -> str:
    models = set()
    with _asking(way, "say hello"):
        models |= {_asked(stage, way, shell, "Hello from simulated") for shell in shells}
    with _asking(way, "use the Bash tool to run `echo drill-$((6*7))`", "--allowedTools Bash"):
        models |= {_asked(stage, way, shell, "drill-42") for shell in shells}
    (model,) = models
    return f"{way.server} ({model}) through {way.through}, billed to {way.billed or 'nobody'}; -p and tool call"


@drill.cell("billed", fixed=True)
def billed(stage: Stage) -> Figures:
    """Straight and through the gateway, over ssh: who answered, and whose key paid."""
    stage.converged()
    figures: dict[str, object] = {}
    for way in (PRIVATE, CLOUD):
        with _asking(way, "say hello"):
            _asked(stage, way, "ssh command", "Hello from simulated")
            figures[way.command] = f"{way.server} through {way.through}, billed to {way.billed or 'nobody'}"
    wrong = replace(CLOUD, server="lmstudio", billed=None)
    with _asking(CLOUD, "say hello"):
        figures["control"] = must_fail(
            lambda: _asked(stage, wrong, "ssh command", "Hello"), "the other server expected"
        )
    return figures


@drill.cell("table")
def table(stage: Stage) -> Figures:
    """Five lanes from five kinds of shell, each with -p and with a tool call."""
    site = stage.converged()
    looks.answer("apt-get -q update && apt-get -yq install zsh", user="root", timeout=300)
    stage.site(settings={"lanes": {"api": {"enabled": True}}}).deploy().ok()
    try:
        figures = {f"{way.command} ({', '.join(SHELLS)})": _row(stage, way, SHELLS) for way in WAYS}
    finally:
        site.deploy().ok()
    return figures


@drill.cell("at-once")
def at_once(stage: Stage) -> Figures:
    """A gateway that is down and a key that is wrong are told at once, not after a minute and a half."""
    stage.converged()
    figures: dict[str, object] = {}
    key = looks.answer("ls ~/.config/signalbox/gateway.*")
    spoilt = f"cp -p {key} /tmp/drill-key && echo wrong > {key}"
    for name, spoil, mend, status in (
        ("wrong key", spoilt, f"mv -f /tmp/drill-key {key}", 78),
        ("empty key", f"cp -p {key} /tmp/drill-key && : > {key}", f"mv -f /tmp/drill-key {key}", 78),
    ):
        looks.answer(spoil)
        try:
            done = hosts.run(HOST, "time -p claude-local -p 'say hello'", user="claude", check=False, timeout=60)
        finally:
            looks.answer(mend)
        assert done.returncode == status, done.stderr
        figures[name] = done.stderr.strip().splitlines()[0]
    user = looks.GATEWAY_USER
    looks.answer(f"systemctl --user --machine={user}@.host stop litellm.service", user="root")
    try:
        done = hosts.run(HOST, "claude-cloud -p 'say hello'", user="claude", check=False, timeout=60)
    finally:
        looks.answer(f"systemctl --user --machine={user}@.host start litellm.service", user="root")
    assert done.returncode == 69, done.stderr
    figures["gateway stopped"] = done.stderr.strip().splitlines()[0]
    assert wait_until(lambda: hosts.run(HOST, looks.GATEWAY, check=False).returncode == 0, 60, 0.5)
    assert "Hello" in looks.answer("claude-local -p 'say hello'")
    return figures

"""Lanes: from every kind of shell the right models answer, and the right account is billed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

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
    """Where a lane goes: the server that answers, through the gateway or past it, the key that is billed.

    billed: None: nobody. also: the local server may be asked as well, for background work that is free.
    """

    name: str
    command: str
    server: str
    direct: bool = False
    billed: str | None = "ANTHROPIC_DIRECT_KEY"
    also: str = ""
    extra: str = ""

    @property
    def base_url(self) -> str:
        """Where Claude Code sends its requests."""
        return services.simulator(self.server) if self.direct else "http://127.0.0.1:4000"


ROUTED = Way("routed", "claude-routed", "anthropic", also="lmstudio")
LOCAL = Way("local", "claude-local", "lmstudio", billed=None)
PRIVATE = Way("local-private", "claude-local --private", "lmstudio", direct=True, billed=None)
CLOUD = Way("cloud", "claude-cloud", "anthropic")
API = Way("api", "claude-api", "anthropic", direct=True, extra="--model claude-sonnet-4-6")

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
    """Ask in one way from one kind of shell; returns the model that was asked. AssertionError if it went elsewhere."""
    stage.simulators.clear()
    told = looks.answer(SHELLS[shell].format(command="/tmp/drill-ask"), timeout=120)  # noqa: S108 (the host's)
    requests = looks.chats(stage, way.server)
    assert requests, f"{way.server} was not asked; the answer was {told!r}"
    other = next(each for each in SERVERS if each != way.server)
    astray = [each["status"] for each in stage.simulators.requests(other) if each["method"] == "POST"]
    assert other == way.also or not astray, f"{other} was asked too, and answered {astray}"
    for request in requests:
        direct = "claude-cli" in request["headers"].get("user-agent", "")
        assert direct == way.direct, f"it went {'past' if direct else 'through'} the gateway"
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


def _table(stage: Stage, way: Way) -> Figures:
    """Ask from every kind of shell, with -p alone and with a tool call, which tells the base URL of that session."""
    looks.have_shell("zsh")
    tool = "use the Bash tool to run `echo drill-$((6*7)) $SIGNALBOX_LANE $ANTHROPIC_BASE_URL`"
    with _asking(way, "say hello"):
        said = {shell: _asked(stage, way, shell, "Hello from simulated") for shell in SHELLS}
    with _asking(way, tool, "--allowedTools Bash"):
        ran = {shell: _asked(stage, way, shell, f"drill-42 {way.name} {way.base_url}") for shell in SHELLS}
    pays = f"{way.billed} is billed" if way.billed else "nobody is billed"
    figures = {
        shell: f"base URL {way.base_url}; -p: model {said[shell]}, {way.server} answered, {pays}; "
        f"with a tool call: model {ran[shell]}, {way.server} answered, {pays}"
        for shell in SHELLS
    }
    other = next(each for each in SERVERS if each != way.server)
    wrong = replace(way, server=other, billed=None, also="")
    with _asking(way, "say hello"):
        control = must_fail(lambda: _asked(stage, wrong, "ssh command", "Hello"), f"{other} expected")
    return {**figures, "control": control}


@drill.cell("billed", fixed=True)
def billed(stage: Stage) -> Figures:
    """Straight and through the gateway, over ssh: who answered, and whose key paid."""
    stage.converged()
    figures: dict[str, object] = {}
    for way in (PRIVATE, CLOUD):
        with _asking(way, "say hello"):
            _asked(stage, way, "ssh command", "Hello from simulated")
            past = "past" if way.direct else "through"
            figures[way.command] = f"{way.server} {past} the gateway, billed to {way.billed or 'nobody'}"
    wrong = replace(CLOUD, server="lmstudio", billed=None)
    with _asking(CLOUD, "say hello"):
        figures["control"] = must_fail(
            lambda: _asked(stage, wrong, "ssh command", "Hello"), "the other server expected"
        )
    return figures


@drill.cell("routed")
def routed(stage: Stage) -> Figures:
    """claude-routed from five kinds of shell, with -p alone and with a tool call; its haiku is the local model."""
    stage.converged()
    figures = _table(stage, ROUTED)
    haiku = replace(ROUTED, server="lmstudio", billed=None, also="", extra="--model haiku")
    with _asking(haiku, "say hello"):
        model = _asked(stage, haiku, "ssh command", "Hello from simulated LM Studio")
    return {**figures, "haiku, for background work": f"model {model}, lmstudio answered, nobody is billed"}


@drill.cell("local")
def local(stage: Stage) -> Figures:
    """claude-local from five kinds of shell, with -p alone and with a tool call."""
    stage.converged()
    return _table(stage, LOCAL)


@drill.cell("local-private")
def private(stage: Stage) -> Figures:
    """claude-local --private from five kinds of shell, with -p alone and with a tool call."""
    stage.converged()
    return _table(stage, PRIVATE)


@drill.cell("cloud")
def cloud(stage: Stage) -> Figures:
    """claude-cloud from five kinds of shell, with -p alone and with a tool call."""
    stage.converged()
    return _table(stage, CLOUD)


@drill.cell("api")
def api(stage: Stage) -> Figures:
    """claude-api from five kinds of shell, with -p alone and with a tool call; no gateway is on its way."""
    site = stage.converged()
    stage.site(settings={"lanes": {"api": {"enabled": True}}}).deploy().ok()
    try:
        return _table(stage, API)
    finally:
        site.deploy().ok()


AT_ONCE = 5.0  # seconds, of a machine that has other things to do


def _at_once(command: str, status: int, words: str) -> str:
    """Return what is told and in how many seconds; AssertionError if it is something else, or told late."""
    done = hosts.run(HOST, f"time -p timeout 20 {command} -p 'say hello'", user="claude", check=False, timeout=60)
    told = done.stderr.strip().splitlines()
    seconds = next(float(line.split()[1]) for line in told if line.startswith("real "))
    assert seconds < AT_ONCE, f"{seconds} s: {done.stderr}"
    assert (done.returncode, words in told[0]) == (status, True), done.stderr
    return f"after {seconds:.1f} s: {told[0]}"


@drill.cell("at-once")
def at_once(stage: Stage) -> Figures:
    """A gateway that is down and a key that is wrong are told at once, not after a minute and a half."""
    stage.converged()
    figures: dict[str, object] = {}
    key = looks.answer("ls ~/.config/signalbox/gateway.*")
    assert key.endswith(".cred"), key
    wrong = "printf sk-of-another | systemd-creds --user encrypt --name=gateway -"
    for name, spoil, words in (
        ("a key that is not the gateway's", f"{wrong} - > {key}", "refuses the key in"),
        ("a key that does not decrypt", f"echo wrong > {key}", "does not decrypt for this user on this host"),
        ("an empty key", f": > {key}", "does not decrypt for this user on this host"),
    ):
        looks.answer(f"cp -p {key} /tmp/drill-key && {spoil}")
        try:
            figures[name] = _at_once("claude-local", 78, words)
        finally:
            looks.answer(f"mv -f /tmp/drill-key {key}")
    bare = (
        "env ANTHROPIC_BASE_URL=http://127.0.0.1:4000 ANTHROPIC_AUTH_TOKEN=x ANTHROPIC_MODEL=local"
        " CLAUDE_CONFIG_DIR=/tmp/drill-bare claude"
    )
    user = looks.GATEWAY_USER
    looks.answer(f"systemctl --user --machine={user}@.host stop litellm.service", user="root")
    try:
        figures["gateway stopped"] = _at_once("claude-cloud", 69, "the gateway does not answer at")
        figures["control"] = must_fail(lambda: _at_once(bare, 69, ""), "claude itself, which tries again and again")
    finally:
        looks.answer(f"systemctl --user --machine={user}@.host start litellm.service", user="root")
        looks.answer("rm -rf /tmp/drill-bare")
    assert wait_until(lambda: hosts.run(HOST, looks.GATEWAY, check=False).returncode == 0, 60, 0.5)
    assert "Hello" in looks.answer("claude-local -p 'say hello'")
    return figures

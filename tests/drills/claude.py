"""The real Claude Code on a converged host, answered by the simulated models."""

from __future__ import annotations

from signalbox.shell.secret_files import reader
from tests.drills import looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage
from tests.drills.tampers import AS_KEEPER
from tests.lab import hosts
from tests.lab.simulators.journal import fingerprint

drill = Drill(
    "claude",
    "the real Claude Code in both lanes",
    'On that host, over ssh as claude: `claude-routed -p "say hello"` is answered by the simulated cloud through the '
    'gateway, `claude-local -p "say hello"` by the simulated LM Studio; a tool call (Bash) round-trips on both.',
)

SERVER = {"routed": "anthropic", "local": "lmstudio"}
NAME = {"routed": "Anthropic", "local": "LM Studio"}


def _hello(stage: Stage, lane: str, prefix: str = "", suffix: str = "") -> str:
    """Ask one lane to say hello; its own server must have been asked, through the gateway, and the other not."""
    stage.simulators.clear()
    told = looks.answer(f"{prefix}claude-{lane} -p 'say hello'{suffix}")
    assert f"Hello from simulated {NAME[lane]}" in told, told
    request = looks.served(stage, SERVER[lane], "say hello")
    # Claude Code has the gateway's key alone: a provider's key means that the gateway asked.
    assert "claude-cli" not in request["headers"].get("user-agent", ""), "the request did not pass the gateway"
    return told


@drill.cell("hello", fixed=True)
def hello(stage: Stage) -> Figures:
    """Each lane says hello from its own server, through the gateway."""
    stage.converged()
    figures = {lane: _hello(stage, lane) for lane in SERVER}
    other = must_fail(lambda: looks.served(stage, "anthropic", "say hello"), "the other server's log")
    key = looks.answer(reader("/home/claude/.config/signalbox/gateway.cred"))
    _hello(stage, "routed")
    request = looks.served(stage, "anthropic", "say hello")
    assert request["credential"] not in (None, fingerprint(key)), "the cloud was given the gateway's key"
    looks.answer(f"{AS_KEEPER} stop litellm.service", user="root")
    try:
        stopped = must_fail(lambda: _hello(stage, "local"), "the gateway stopped")
    finally:
        looks.answer(f"{AS_KEEPER} start litellm.service", user="root")
    return {**figures, "control": f"{other}; {stopped}"}


@drill.cell("tool")
def tool(stage: Stage) -> Figures:
    """A Bash tool call goes round in each lane: asked for by the model, run on the host, told to the model."""
    stage.converged()
    figures: dict[str, object] = {}
    for lane, server in SERVER.items():
        stage.simulators.clear()
        command = f"hostname > /tmp/drill-{lane}; echo drill-$((6*7))"
        told = looks.answer(f"claude-{lane} --allowedTools Bash -p 'use the Bash tool to run `{command}`'")
        assert "drill-42" in told, told
        looks.served(stage, server, "drill-42")  # the result came back to the model
        assert looks.answer(f"cat /tmp/drill-{lane}") == HOST
        figures[lane] = f"{len(looks.chats(stage, server))} requests, answer quotes drill-42"
    stage.simulators.clear()

    def without_permission() -> None:
        told = looks.answer("claude-local --disallowedTools Bash -p 'use the Bash tool to run `echo drill-$((6*7))`'")
        assert "drill-42" in told, told

    return {**figures, "control": must_fail(without_permission, "the Bash tool not allowed")}


@drill.cell("contexts")
def contexts(stage: Stage) -> Figures:
    """claude-local works from a login shell, `ssh host command`, a systemd user unit and an empty environment."""
    stage.converged()
    unit = "systemd-run --user --quiet --wait --collect --pipe "
    ways = {
        "ssh host command": ("", ""),
        "login shell": ('bash -lc "', '"'),
        "systemd user unit": (unit, ""),
        "empty environment": ('env -i HOME="$HOME" PATH=/usr/bin:/bin /usr/local/bin/', ""),
    }
    figures = {way: _hello(stage, "local", *around) for way, around in ways.items()}
    root = hosts.run(HOST, "claude-local -p 'say hello'", check=False)
    assert root.returncode != 0, "root may run an agent as root"
    figures["as root"] = root.stderr.strip().splitlines()[-1]
    absent = must_fail(lambda: _hello(stage, "local", "env -i "), "no HOME and no PATH")
    return {**figures, "control": absent}

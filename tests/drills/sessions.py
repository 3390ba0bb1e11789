"""Sessions that outlive the connection, and tasks that need none."""

from __future__ import annotations

import subprocess
import time

from tests.drills import looks
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.stage import HOST, Stage
from tests.lab import access, hosts
from tests.lab.instance import Lab
from tests.lab.machine import wait_until

drill = Drill(
    "sessions",
    "always-on work",
    "`claude-session` survives the ssh connection and, as a setting, a reboot.",
)

UNIT = "claude-session@drill.service"
PROCESS = "pgrep -u claude -f '^/home/claude/.local/bin/claude' || true"
LOGINS = "loginctl list-sessions --no-legend | grep -w claude | grep -w user | awk '{print $1}' || true"
SCREEN = "tmux -u -L claude-drill capture-pane -p -t drill 2>/dev/null || true"


HERE = "mkdir -p ~/drill-work && cd ~/drill-work"
KEPT = "cat ~/.claude-local/projects/-home-claude-drill-work/*.jsonl 2>/dev/null || true"


def _type(*keys: str) -> None:
    """Press these keys in the session's terminal, one after the other."""
    for key in keys:
        looks.answer(f"tmux -L claude-drill send-keys -t drill {key}; sleep 0.5")


def _processes() -> list[str]:
    return looks.answer(PROCESS).split()


def _runs(processes: list[str]) -> None:
    now = _processes()
    assert processes, "Claude Code never ran"
    assert set(processes) <= set(now), f"{processes} ran, and now {now or 'none'}"


def _logins() -> set[str]:
    return set(looks.answer(LOGINS, user="root").split())


def _over_ssh(command: str) -> list[str]:
    """Run the command in a terminal over ssh, cut the connection when Claude Code is there; return its processes."""
    before, logins = set(_processes()), _logins()
    line = [*access.ssh(Lab.current(), HOST, "claude", "-tt"), command]
    connection = subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        assert wait_until(lambda: bool(set(_processes()) - before), 60, 0.5), "Claude Code did not start"
        return sorted(set(_processes()) - before)
    finally:
        connection.kill()
        connection.wait()
        assert wait_until(lambda: _logins() <= logins, 60, 0.5), "the host did not notice the cut"


def _end() -> None:
    looks.answer("claude-session end drill; rm -rf ~/drill-work")
    assert wait_until(lambda: not _processes(), 30, 0.5), "the session did not end"


@drill.cell("connection", fixed=True)
def connection(stage: Stage) -> Figures:
    """The connection is cut, and Claude Code goes on; plain Claude Code over the same connection does not."""
    stage.converged()
    try:
        kept = _over_ssh("mkdir -p ~/drill-work && cd ~/drill-work && TERM=xterm claude-session drill --lane local")
        _runs(kept)
        state = looks.answer(f"systemctl --user is-active {UNIT}")
        screen = looks.answer(SCREEN)
        assert "drill-work" in screen, screen
    finally:
        _end()

    def plain() -> None:
        lost = _over_ssh("TERM=xterm claude-local")
        assert wait_until(lambda: not set(lost) & set(_processes()), 30, 0.5) is False, "it ended with its connection"

    return {"after the cut": f"the same process runs, its unit is {state}", "control": must_fail(plain, "no session")}


@drill.cell("reboot")
def reboot(stage: Stage) -> Figures:
    """With launchers.reopen_sessions a session is there again after a reboot, with its conversation; without, not."""
    site = stage.converged()
    figures: dict[str, object] = {}
    stage.site(settings={"launchers": {"reopen_sessions": True}}).deploy().ok()
    try:
        looks.answer(f"{HERE} && claude-session drill --lane local --detached")
        # Claude Code asks once whether it may trust a directory; the person says yes.
        assert wait_until(lambda: "trust this folder" in looks.answer(SCREEN), 60, 0.5), looks.answer(SCREEN)
        _type("Down", "Enter")
        assert wait_until(lambda: "trust this folder" not in looks.answer(SCREEN), 60, 0.5), looks.answer(SCREEN)
        _type("'the word is kumquat'", "Enter")
        assert wait_until(lambda: "kumquat" in looks.answer(KEPT), 60, 0.5), looks.answer(SCREEN)
        begun = time.monotonic()
        hosts.reboot(HOST)
        assert wait_until(lambda: bool(_processes()), 240, 1), "the session did not come back"
        figures["back after"] = f"{time.monotonic() - begun:.0f} s"
        assert wait_until(lambda: "kumquat" in looks.answer(SCREEN), 60, 1), looks.answer(SCREEN)
        figures["its conversation"] = "is on the screen"
    finally:
        _end()
        site.deploy().ok()
    looks.answer(f"{HERE} && claude-session drill --lane local --detached")
    try:
        hosts.reboot(HOST)
        assert looks.gateway_within(240)
        assert not _processes(), "a session came back that was not to"
    finally:
        _end()
    return {**figures, "without the setting": "it is gone"}


@drill.cell("task")
def task(stage: Stage) -> Figures:
    """A headless task runs in its lane with its answer in the journal; one that hangs is ended at its limit."""
    site = stage.converged()
    unit = "claude-task@drill.service"
    write = 'mkdir -p ~/.config/claude-tasks && printf \'lane = "local"\\nprompt = "say hello"\\n\''
    looks.answer(f"{write} > ~/.config/claude-tasks/drill.toml && systemctl --user start --wait {unit}")
    told = looks.answer(f"journalctl --user -u {unit} -o cat --no-pager")
    assert "Hello from simulated LM Studio" in told, told
    stage.site(settings={"launchers": {"task_timeout_seconds": 5}}).deploy().ok()
    try:
        stage.simulators.fault("lmstudio", "hang", path="/v1/chat/completions")
        looks.answer(f"systemctl --user start --wait {unit} || true", timeout=60)
        result = looks.answer(f"systemctl --user show -p Result --value {unit}")
        assert result == "timeout", result
    finally:
        stage.simulators.clear()
        looks.answer(f"rm -f ~/.config/claude-tasks/drill.toml; systemctl --user reset-failed {unit} || true")
        site.deploy().ok()
    return {"journal": "holds the answer", "one that hangs": f"ended with result {result}"}

"""Sessions that outlive the connection, and tasks that need none."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.drills import looks, npm_registry
from tests.drills.drill import Drill, Figures, must_fail
from tests.drills.screen import MODES, TRUST
from tests.drills.stage import HOST, Stage
from tests.lab import access, hosts, services
from tests.lab.instance import Lab
from tests.lab.machine import wait_until
from tests.lab.mirror import claude_code
from tests.lab.mirror.clients import npm_pack

drill = Drill(
    "sessions",
    "always-on work",
    "`claude-session` survives the ssh connection and, as a setting, a reboot. A name keeps its lane, its directory "
    "and its conversation until it is ended.",
)

UNIT = "claude-session@drill.service"
EARLIER = "2.1.328"  # of Claude Code, before the pinned one
PROCESS = "pgrep -u claude -f '^/home/claude/.local/bin/claude' || true"
LOGINS = "loginctl list-sessions --no-legend | grep -w claude | grep -w user | awk '{print $1}' || true"
SCREEN = "tmux -u -L claude-drill capture-pane -p -t drill 2>/dev/null || true"


HERE = "mkdir -p ~/drill-work && cd ~/drill-work"
KEPT = "cat ~/.claude-local/projects/-home-claude-drill-work/*.jsonl 2>/dev/null || true"


def typed(*keys: str) -> None:
    """Press these keys in the session's terminal, one after the other."""
    for key in keys:
        looks.answer(f"tmux -L claude-drill send-keys -t drill {key}; sleep 0.5")


def processes() -> list[str]:
    return looks.answer(PROCESS).split()


def runs(before: list[str]) -> None:
    now = processes()
    assert before, "Claude Code never ran"
    assert set(before) <= set(now), f"{before} ran, and now {now or 'none'}"


def _logins() -> set[str]:
    return set(looks.answer(LOGINS, user="root").split())


def _over_ssh(command: str) -> list[str]:
    """Run the command in a terminal over ssh, cut the connection when Claude Code is there; return its processes."""
    before, logins = set(processes()), _logins()
    line = [*access.ssh(Lab.current(), HOST, "claude", "-tt"), command]
    connection = subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        assert wait_until(lambda: bool(set(processes()) - before), 60, 0.5), "Claude Code did not start"
        return sorted(set(processes()) - before)
    finally:
        connection.kill()
        connection.wait()
        assert wait_until(lambda: _logins() <= logins, 60, 0.5), "the host did not notice the cut"


@contextmanager
def session() -> Iterator[None]:
    """Have a session `drill` in lane local, in which a word was said; in the end it is ended, whatever it was like."""
    try:
        looks.answer(f"{HERE} && claude-session drill --lane local --detached")
        # Claude Code asks once whether it may trust a directory; the person says yes.
        assert wait_until(lambda: any(each in _screen() for each in (TRUST, *MODES.values())), 60, 0.5), _screen()
        if TRUST in _screen():
            typed("Down", "Enter")
            assert wait_until(lambda: TRUST not in _screen(), 60, 0.5), _screen()
        typed("'the word is kumquat'", "Enter")
        assert wait_until(lambda: "kumquat" in looks.answer(KEPT), 60, 0.5), _screen()
        yield
    finally:
        _end()


def _screen() -> str:
    return looks.answer(SCREEN)


def _opened_again() -> str:
    """Open the session from elsewhere, in another lane's shell; return what was said. AssertionError: it is another."""
    told = looks.answer("cd /tmp && SIGNALBOX_LANE=routed claude-session drill --detached 2>&1")
    assert wait_until(lambda: "kumquat" in _screen() and "local | " in _screen(), 60, 0.5), _screen()
    assert "/drill-work" in _screen(), _screen()
    return next(line for line in told.splitlines() if "opened again" in line)


def _failed() -> None:
    failed = looks.answer("systemctl --user --failed --no-legend --plain | awk '{print $1}'").split()
    assert not failed, f"failed units: {failed}"


def _end() -> None:
    looks.answer("claude-session end drill; rm -rf ~/drill-work")
    assert wait_until(lambda: not processes(), 30, 0.5), "the session did not end"


@drill.cell("connection", fixed=True)
def connection(stage: Stage) -> Figures:
    """The connection is cut, and Claude Code goes on; plain Claude Code over the same connection does not."""
    stage.converged()
    try:
        kept = _over_ssh("mkdir -p ~/drill-work && cd ~/drill-work && TERM=xterm claude-session drill --lane local")
        runs(kept)
        state = looks.answer(f"systemctl --user is-active {UNIT}")
        screen = looks.answer(SCREEN)
        assert "drill-work" in screen, screen
    finally:
        _end()

    def plain() -> None:
        lost = _over_ssh("TERM=xterm claude-local")
        assert wait_until(lambda: not set(lost) & set(processes()), 30, 0.5) is False, "it ended with its connection"

    return {"after the cut": f"the same process runs, its unit is {state}", "control": must_fail(plain, "no session")}


@drill.cell("reboot")
def reboot(stage: Stage) -> Figures:
    """With launchers.reopen_sessions a session is there again after a reboot, with its conversation; without, not."""
    site = stage.converged()
    figures: dict[str, object] = {}
    stage.site(settings={"launchers": {"reopen_sessions": True}}).deploy().ok()
    try:
        with session():
            begun = time.monotonic()
            hosts.reboot(HOST)
            assert wait_until(lambda: bool(processes()), 240, 1), "the session did not come back"
            figures["back after"] = f"{time.monotonic() - begun:.0f} s"
            assert wait_until(lambda: "kumquat" in looks.answer(SCREEN), 60, 1), looks.answer(SCREEN)
            figures["its conversation"] = "is on the screen"
    finally:
        site.deploy().ok()
    with session():
        hosts.reboot(HOST)
        assert looks.gateway_within(240)
        assert not processes(), "a session came back that was not to"
        figures["without the setting"] = _opened_again()
    return figures


@drill.cell("kept")
def kept(stage: Stage) -> Figures:
    """After /exit no unit has failed; the name opens its lane, directory and conversation from another lane's shell."""
    stage.converged()
    figures: dict[str, object] = {}
    with session():
        typed("/exit", "Enter")
        assert wait_until(lambda: not processes(), 60, 0.5), _screen()
        assert wait_until(lambda: "stopped" in looks.answer("claude-session list"), 30, 0.5)
        _failed()
        figures["after /exit"] = looks.answer("claude-session list")
        figures["opened again"] = _opened_again()
        done = hosts.run(HOST, "claude-session drill --lane cloud --detached", user="claude", check=False)
        assert done.returncode == 64, done.stderr
        figures["asked for in another lane"] = done.stderr.strip()
        told = looks.answer("claude-session end drill 2>&1")
        assert "claude-local --resume " in told, told
        figures["ended"] = told
        gone = hosts.run(HOST, "claude-session end drill", user="claude", check=False)
        assert gone.returncode == 64, gone.stderr
        figures["control"] = must_fail(_opened_again, "a name that was ended")
    return figures


@drill.cell("manager")
def manager(stage: Stage) -> Figures:
    """The user's systemd manager is killed: the command says so, and after the next login all is there again."""
    stage.converged()
    with session():
        looks.answer("systemctl kill --signal=KILL user@$(id -u claude).service", user="root")
        assert wait_until(lambda: not processes(), 60, 0.5), "Claude Code outlived its manager"
        asked = "su claude -c 'claude-session drill --detached' 2>&1 || echo ended with $?"
        without = looks.answer(asked, user="root")
        looks.answer("systemctl restart user@$(id -u claude).service", user="root")
        assert looks.gateway_within(240)
        again = _opened_again()
    return {"while it is gone": without, "after it": again}


@drill.cell("full-disk")
def full_disk(stage: Stage) -> Figures:
    """On a full disk nothing is opened and no record changes; with room again the session is as it was."""
    stage.converged()
    state = "/home/claude/.local/state/signalbox/sessions"
    with session():
        looks.answer("systemctl --user stop claude-session@drill.service")
        try:
            small = f"mount -t tmpfs -o size=16k,uid=$(id -u claude),mode=700 none {state}"
            filled = f"cp -a /root/drill-kept/. {state}/ && head -c 40000 /dev/zero > {state}/fill"
            looks.answer(f"cp -a {state} /root/drill-kept && {small} && {filled}; rm -r /root/drill-kept", user="root")
            before = looks.answer(f"cat {state}/drill.json")
            done = hosts.run(HOST, "claude-session drill --detached", user="claude", check=False)
            assert done.returncode == 78, done.stderr
            assert looks.answer(f"cat {state}/drill.json; ls {state}") == f"{before}drill.json\nfill"
            assert not processes(), "it was opened all the same"
        finally:
            looks.answer(f"! mountpoint -q {state} || umount {state}", user="root")
        again = _opened_again()
    return {"full": done.stderr.strip(), "with room": again}


@drill.cell("upgrade")
def upgrade(stage: Stage) -> Figures:
    """Claude Code is upgraded under a session: it goes on, and opened again it has its conversation in the new one."""
    site = stage.converged()
    lab = services.lab_settings()
    name, new = claude_code.PARTS["amd64"], lab["pins"]["claude_code"]["version"]
    with tempfile.TemporaryDirectory(prefix="signalbox-sessions-") as temporary:
        directory = Path(temporary)
        archive = npm_pack(f"{name}@{EARLIER}", directory / "earlier")
        with npm_registry.serving(Lab.current().ipv4(1), directory, {name: {EARLIER: archive}}) as url:
            integrity = {**lab["pins"]["claude_code"]["integrity"], "amd64": npm_registry.integrity(archive)}
            pin = {"version": EARLIER, "integrity": integrity}
            stage.site(settings={"mirrors": {"npm": url}, "pins": {"claude_code": pin}}).deploy().ok()
    try:
        with session():
            assert f'"version":"{EARLIER}"' in looks.answer(KEPT)
            before = processes()
            site.deploy().ok()
            runs(before)
            looks.answer("systemctl --user stop claude-session@drill.service")
            again = _opened_again()
            typed("'the word is quince'", "Enter")
            said = f'"version":"{new}"'
            assert wait_until(lambda: said in looks.answer(KEPT), 60, 0.5), _screen()
            _failed()
    finally:
        site.deploy().ok()
    return {"from": EARLIER, "to": new, "meanwhile": "the same process runs", "opened again": again}


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

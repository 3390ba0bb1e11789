"""A version of Claude Code against what lanes set for it: a row fails where a setting no longer does its work.

It asks a scripted model on loopback, with the environment and the settings of the shipped private lane, in a home of
its own: nothing of the caller's is read or changed, and nobody is billed.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signalbox.certify.checks import FAILED, PASSED, Begins, Row
from signalbox.certify.scripted import ANSWER, DONE, Scripted, scripted
from signalbox.desired.claude_settings import LEFT_OUT
from signalbox.desired.lanes import lane_records
from signalbox.host.launcher import config_dir, lane
from signalbox.settings import Settings
from signalbox.settings.layers import defaults

LANE = "local-private"
LEAN_BYTES = 48 << 10  # of a first request
PATIENCE = 60  # seconds; all of these take less than ten on a quiet machine
HELD = 120  # seconds for which a command in the background would hold a run
NEEDED = {"Agent", "Bash", "Edit", "Read", "Skill", "Write"}
OLD = 400  # days
_CONTROLS = re.compile(
    r"\x1b\[[0-9;?<>=]*[a-zA-Z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b.|[\x00-\x08\x0b-\x1f]"
)


class _OtherwiseError(Exception):
    """A setting did not do its work; the words say what was seen."""


@dataclass
class Trial:
    """A Claude Code, the model that it asks, a home for it, and the lane's record."""

    program: str
    model: Scripted
    home: Path
    record: dict[str, Any]

    @property
    def config(self) -> Path:
        """Its configuration directory."""
        return Path(self.record["environment"]["CLAUDE_CONFIG_DIR"])

    @property
    def work(self) -> Path:
        """The directory that it runs in."""
        return self.home / "work"

    def environment(self, base: dict[str, str] | None = None, *, headless: bool = True) -> dict[str, str]:
        """Return what a lane's command gives Claude Code; `base`: what the caller's shell has."""
        shell = {"HOME": str(self.home), "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8",
                 "TERM": "xterm-256color"}  # fmt: skip
        made = lane.environment(LANE, self.record, None, {"lanes": {LANE: self.record}}, {**shell, **(base or {})})
        return made | (lane.ENDING if headless else {})

    def fresh(self) -> None:
        """Have the lane's own settings in its directory, and nothing of an earlier row's."""
        (self.config / "settings.json").unlink(missing_ok=True)
        (self.config / config_dir.WRITTEN).unlink(missing_ok=True)
        config_dir.prepare(self.record, None)
        self.model.bodies.clear()

    def ask(self, prompt: str, *words: str, base: dict[str, str] | None = None) -> tuple[str, str]:
        """Return what a -p run prints on stdout and stderr. Raises _OtherwiseError unless it ends in time."""
        process = subprocess.Popen(
            [self.program, "-p", prompt, *words], cwd=self.work, env=self.environment(base), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        try:
            said, errors = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise _OtherwiseError(f"no end within {PATIENCE} s") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode:
            raise _OtherwiseError(f"it ended with {process.returncode}: {(errors or said).strip()[-200:]}")
        return said.strip(), errors.strip()

    def screen(self, keys: str, *until: str) -> str:
        """Return what a terminal shows, without blanks: the first of these texts, the keys typed, and the others.

        Raises _OtherwiseError where a text does not come in time.
        """
        child, terminal = pty.fork()
        if child == 0:
            try:
                os.chdir(self.work)
                os.execve(self.program, [self.program], self.environment(headless=False))  # noqa: S606 (no shell)
            finally:
                os._exit(127)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 150, 0, 0))
        shown = ""
        try:
            for number, words in enumerate(until):
                shown = self._read(terminal, words)
                if number == 0:
                    for key in keys:
                        os.write(terminal, key.encode())
                        time.sleep(0.1)
            return shown
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(terminal)

    def _read(self, terminal: int, words: str) -> str:
        shown, plain, deadline = "", "", time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 1)[0]:
                try:
                    shown += os.read(terminal, 1 << 16).decode(errors="replace")
                except OSError:
                    break
                # Without blanks: many of them are drawn by moving on.
                plain = "".join(_CONTROLS.sub("", shown).split())
                if "".join(words.split()) in plain:
                    return plain
        raise _OtherwiseError(f"{words!r} never stood on the screen: {plain[-200:]}")


Look = Callable[[Trial], str]
LOOKS: list[tuple[str, Look]] = []


def _look(name: str) -> Callable[[Look], Look]:
    def register(body: Look) -> Look:
        LOOKS.append((name, body))
        return body

    return register


def rows(
    program: str,
    begins: Begins = lambda _: nullcontext(),
    change: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Iterator[Row]:
    """Yield a row a setting.

    program: Claude Code's. begins: is around each row, with its name; for progress. change: of the lane's record, so
    that rows fail.
    """
    with scripted() as model, tempfile.TemporaryDirectory(prefix="signalbox-certify-") as place:
        trial = Trial(program, model, Path(place), _record(model.url, Path(place)))
        change(trial.record)
        trial.work.mkdir()
        trial.config.mkdir()
        trusted = {"hasCompletedOnboarding": True, "projects": {str(trial.work): {"hasTrustDialogAccepted": True}}}
        (trial.config / ".claude.json").write_text(json.dumps(trusted))
        for name, body in LOOKS:
            with begins(name):
                trial.fresh()
                try:
                    row = Row(name, PASSED, body(trial))
                except (_OtherwiseError, OSError) as error:
                    row = Row(name, FAILED, str(error))
            yield row


def _record(url: str, place: Path) -> dict[str, Any]:
    """Return the shipped private lane's record, with its server at `url` and its directory in `place`."""
    box = {"kind": "llama_cpp", "url": url, "models": {"local": {"id": "local", "context_length": 65536}}}
    off = {"enabled": False}
    mine = {
        **dict.fromkeys(("gateway", "service_user", "toolchain"), off),
        "backends": {"lmstudio": off, "box": box},
        "lanes": {name: off for name in defaults()["lanes"] if name != LANE} | {LANE: {"enabled": True}},
        "rootless_docker": {"host_loopback": True},  # as the address is this machine's own
    }
    settings = Settings.from_layers([("group_data/all.py", defaults()), ("certify", mine)], host="certify")
    record: dict[str, Any] = lane_records(settings)["lanes"][LANE]
    record["environment"] |= {"CLAUDE_CONFIG_DIR": str(place / "config"), "ANTHROPIC_CONFIG_DIR": str(place / "other")}
    record["settings"].pop("statusLine")  # a host's program
    return record


def _session(trial: Trial) -> dict[str, Any]:
    """Return the newest request of a session."""
    bodies = trial.model.sessions()
    if not bodies:
        raise _OtherwiseError("the lane's server was never asked")
    return bodies[-1]


@_look("asks the lane's server, for the lane's model")
def _asks(trial: Trial) -> str:
    said, _ = trial.ask("say OK")
    body = _session(trial)
    if said != ANSWER:
        raise _OtherwiseError(f"it says {said[-120:]!r}")
    wanted = int(trial.record["environment"]["CLAUDE_CODE_MAX_OUTPUT_TOKENS"])
    if (body["model"], body["max_tokens"]) != ("local", wanted):
        raise _OtherwiseError(f"it asks for {body['model']}, max_tokens {body['max_tokens']}; not local, {wanted}")
    others = {str(each.get("model")) for each in trial.model.bodies} - {"local"}
    if others:
        raise _OtherwiseError(f"its background work asks for {', '.join(sorted(others))}")
    return f"{len(trial.model.bodies)} requests, max_tokens {wanted}"


@_look("a proxy is passed by")
def _proxy(trial: Trial) -> str:
    dead = "http://127.0.0.1:9"
    trial.ask("say OK", base={"HTTPS_PROXY": dead, "HTTP_PROXY": dead, "https_proxy": dead, "http_proxy": dead})
    _session(trial)
    return "answered with a dead one in the environment"


@_look("the prompt is lean")
def _lean(trial: Trial) -> str:
    trial.ask("say OK")
    body = _session(trial)
    tools = {str(each.get("name")) for each in body["tools"]}
    size = len(json.dumps(body).encode())
    if missing := NEEDED - tools:
        raise _OtherwiseError(f"without {', '.join(sorted(missing))}")
    if there := tools & set(LEFT_OUT):
        raise _OtherwiseError(f"{', '.join(sorted(there))} are not left out")
    if size > LEAN_BYTES:
        raise _OtherwiseError(f"{size} bytes in {len(tools)} tools: {', '.join(sorted(tools))}")
    return f"{size} bytes, {len(tools)} tools"


@_look("tools come whole, without the vendor's header")
def _whole(trial: Trial) -> str:
    trial.ask("say OK")
    text = json.dumps(_session(trial))
    for words in ("defer_loading", "DeferredToolPlaceholder", "x-anthropic-billing-header"):
        if words in text:
            raise _OtherwiseError(f"a request has {words}")
    return "no schema is held back, no header"


@_look("a command in the background does not hold a run")
def _background(trial: Trial) -> str:
    work = {"command": f"sleep {HELD}", "run_in_background": True, "description": "waits"}
    # Refused there, it would run in the foreground where it were allowed.
    said, _ = trial.ask(f"CALL Bash {json.dumps(work)}", "--allowedTools", "Bash")
    if DONE not in said:
        raise _OtherwiseError(f"it says {said[-120:]!r}")
    return "the run ends with its answer"


def _swept(trial: Trial) -> bool:
    """Return whether a conversation of OLD days is gone after a run that is long enough for a sweep."""
    kept = trial.config / "projects" / "old" / "00000400-0000-4000-8000-000000000000.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text("{}\n")
    long_ago = time.time() - OLD * 86400
    os.utime(kept, (long_ago, long_ago))
    (trial.config / ".last-cleanup").unlink(missing_ok=True)
    trial.ask('CALL Bash {"command": "sleep 12"}', "--allowedTools", "Bash")
    return not kept.exists()


@_look("conversations are kept")
def _kept(trial: Trial) -> str:
    if _swept(trial):
        raise _OtherwiseError(f"one of {OLD} days is gone")
    path = trial.config / "settings.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "cleanupPeriodDays": 5}))
    if not _swept(trial):
        raise _OtherwiseError(f"with cleanupPeriodDays = 5 one of {OLD} days stays, so this row shows nothing")
    return f"one of {OLD} days stays, and goes with cleanupPeriodDays = 5"


@_look("a bad value in settings.json is told, and deletes nothing")
def _bad_value(trial: Trial) -> str:
    path = trial.config / "settings.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "permissions": {"defaultMode": "nonsense"}}))
    _, errors = trial.ask("say OK")
    if "settings" not in errors.lower():
        raise _OtherwiseError("not a word on stderr")
    if _swept(trial):
        raise _OtherwiseError(f"a conversation of {OLD} days is gone")
    return " ".join(errors.split())[:90]


@_look("a session starts in manual mode")
def _manual(trial: Trial) -> str:
    trial.screen("", "manual mode on")
    return "its screen says so, after no question"


@_look("/model offers no 1M variant")
def _menu(trial: Trial) -> str:
    shown = trial.screen("/model\r", "manual mode on", "Esc to cancel")
    if "[1m]" in shown or "1M" in shown:
        raise _OtherwiseError("one with 1M tokens is on the list")
    if "box" not in shown:
        raise _OtherwiseError("the list is not the lane's")
    return "the lane's own list"

"""claude-session: a named session in a lane that outlives the ssh connection, and headless tasks of systemd.

A session is a unit claude-session@NAME of the user's systemd manager with a tmux server of its own, so that nothing of
a login holds it. A task is a unit claude-task@NAME that runs ~/.config/claude-tasks/NAME.toml.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import tomllib
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from . import lane as lanes
from . import probes, within
from .backends_env import with_lanes
from .conversation import kept_in
from .keys import key_of
from .records import lane_named, read_records, require_user
from .speak import EX_CONFIG, EX_UNAVAILABLE, EX_USAGE, ask, fail, say, tell

USAGE = """\
claude-session NAME [--lane LANE] [--detached] [-- what claude takes]   open it, or go back to it
claude-session list                                                     those that run
claude-session end NAME                                                 end it

Leave it with Ctrl-b d: it goes on. Without --lane it is the shell's lane, else routed."""
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
STATE = Path(".local/state/signalbox/sessions")  # below the home
TASKS = Path(".config/claude-tasks")
PROGRAM = str(Path(__file__).with_name("launch.py"))
START_SECONDS = 180  # after a reboot the gateway takes its time
TMUX = "/usr/bin/tmux"
CHOOSING = {"-c", "--continue", "-r", "--resume", "--session-id", "--from-pr"}  # what says which conversation it is


def main(arguments: Sequence[str]) -> NoReturn:
    """Open, list or end."""
    words = list(arguments)
    cut = words.index("--") if "--" in words else len(words)
    words, rest = words[:cut], words[cut + 1 :]
    records = read_records()
    if words in ([], ["-h"], ["--help"]):
        tell(*USAGE.splitlines())
        sys.exit(0 if words else EX_USAGE)
    require_user(records["user"])
    if words == ["list"]:
        sys.exit(_list())
    if words[0] == "end" and len(words) == 2:
        (Path.home() / STATE / f"{_valid(words[1])}.json").unlink(missing_ok=True)
        sys.exit(_systemctl("disable", "--now", "--quiet", unit(words[1])))
    lane, detached = "", False
    names: list[str] = []
    while words:
        word = words.pop(0)
        if word == "--lane" and words:
            lane = words.pop(0)
        elif word == "--detached":
            detached = True
        else:
            names.append(_valid(word))
    if len(names) != 1:
        fail(EX_USAGE, USAGE)
    _open(records, names[0], lane, rest)
    if detached or not sys.stdin.isatty():
        say(f"{names[0]} runs; claude-session {names[0]} goes to it")
        sys.exit(0)
    variables = {name: value for name, value in os.environ.items() if name != "TMUX"}
    os.execve(TMUX, ["tmux", "-u", "-L", socket(names[0]), "attach-session", "-t", names[0]], variables)  # noqa: S606


def run(arguments: Sequence[str]) -> NoReturn:
    """Be what runs in a session's terminal: Claude Code in its lane, and the end of the session after it."""
    (name,) = arguments
    state = Path.home() / STATE / f"{name}.json"
    wanted = _kept(state)
    resumed = wanted["boot"] != boot()
    records = with_lanes(read_records(), wanted["lane"])
    if resumed and not records["sessions_reopen"]:
        _forget(name)  # it was opened while they were to come back
        sys.exit(0)
    os.chdir(wanted["directory"])
    command = [PROGRAM, wanted["lane"], *_conversation(wanted, records), *wanted["arguments"]]
    deadline = time.monotonic() + START_SECONDS
    while (status := subprocess.run(command).returncode) == EX_UNAVAILABLE and time.monotonic() < deadline and resumed:
        time.sleep(2)
    if status:
        ask(f"claude-{wanted['lane']} ended with {status}; Enter closes this session ")
        sys.stdin.readline()
    _forget(name)
    sys.exit(0)


def _forget(name: str) -> None:
    (Path.home() / STATE / f"{name}.json").unlink(missing_ok=True)
    _systemctl("disable", "--quiet", unit(name))


def _conversation(wanted: dict[str, Any], records: dict[str, Any]) -> list[str]:
    """Return the words that begin the session's conversation, or after a reboot go on with it."""
    if any(word.partition("=")[0] in CHOOSING for word in wanted["arguments"]):
        return []
    begun = (kept_in(lane_named(records, wanted["lane"])) / f"{wanted['conversation']}.jsonl").exists()
    return ["--resume" if begun else "--session-id", wanted["conversation"]]


def task(arguments: Sequence[str]) -> NoReturn:
    """Run a task's prompt without a terminal: -p, in its lane and directory, the prompt over stdin."""
    (name,) = arguments
    path = Path.home() / TASKS / f"{name}.toml"
    try:
        wanted: dict[str, Any] = tomllib.loads(within.bytes_of(path).decode())
    except (OSError, ValueError) as error:
        fail(EX_CONFIG, f"{path} cannot be read ({error}); write lane = …, prompt = …, and directory = … into it")
    wanted = {"directory": "~", "arguments": [], **wanted}
    more: list[Any] = wanted["arguments"] if isinstance(wanted["arguments"], list) else [None]
    words = [*more, *(value for key, value in wanted.items() if key != "arguments")]
    if wanted.keys() != {"lane", "prompt", "directory", "arguments"} or not all(
        isinstance(each, str) for each in words
    ):
        may = 'may have directory, and arguments such as ["--allowedTools", "Read"]'
        fail(EX_CONFIG, f"{path} needs lane and prompt, {may}, and nothing else")
    try:
        os.chdir(os.path.expanduser(wanted["directory"]))
    except OSError as error:
        fail(EX_CONFIG, f"{path}: the directory {wanted['directory']} cannot be used ({error.strerror})")
    stdin = os.memfd_create("prompt")  # not argv, which everybody on the host may read
    os.write(stdin, wanted["prompt"].encode())
    os.lseek(stdin, 0, os.SEEK_SET)
    os.dup2(stdin, 0)
    lanes.main(wanted["lane"], ["-p", *more])


def unit(name: str) -> str:
    """Return the name of a session's unit."""
    return f"claude-session@{name}.service"


def socket(name: str) -> str:
    """Return the name of a session's tmux socket."""
    return f"claude-{name}"


def boot() -> str:
    """Return what tells this boot from others."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _open(records: dict[str, Any], name: str, lane: str, arguments: list[str]) -> None:
    """Have the session run."""
    running = subprocess.run([TMUX, "-L", socket(name), "has-session", "-t", name], capture_output=True).returncode == 0
    if running:
        if lane or arguments:
            say(f"{name} runs already, as it was opened")
        return
    lane = lane or os.environ.get("SIGNALBOX_LANE") or "routed"
    records = with_lanes(records, lane)
    record = lane_named(records, lane)
    # Told here, where a person looks, and not in a terminal that closes at once.
    lanes.prove(record, records, arguments)
    probes.check(lane, record, records["gateway"], key_of(record))
    directory = Path.home() / STATE
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = {
        "lane": lane,
        "directory": os.getcwd(),
        "arguments": arguments,
        "boot": boot(),
        "conversation": str(uuid.uuid4()),
    }
    (directory / f"{name}.json").write_text(json.dumps(wanted))
    if _systemctl("start", unit(name)):
        fail(EX_CONFIG, f"the session did not start; see systemctl --user status {unit(name)}")
    if records["sessions_reopen"]:
        _systemctl("enable", "--quiet", unit(name))


def _list() -> int:
    for path in within.names_in(Path.home() / STATE, "*.json"):
        wanted = _kept(path)
        active = _systemctl("is-active", "--quiet", unit(path.stem)) == 0
        tell(f"{path.stem:<16} {wanted['lane']:<14} {wanted['directory']:<30} {'runs' if active else 'does not run'}")
    return 0


def _kept(path: Path) -> dict[str, Any]:
    """Return what was written down of a session when it was opened."""
    try:
        wanted = within.json_of(within.text_of(path))
        texts = {name: str(wanted[name]) for name in ("lane", "directory", "boot", "conversation")}
        return {**texts, "arguments": [str(word) for word in wanted["arguments"]]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        fail(EX_CONFIG, f"{path} cannot be used ({error}); remove it, and open the session again")


def _systemctl(*words: str) -> int:
    environment = {"XDG_RUNTIME_DIR": f"/run/user/{os.getuid()}", **os.environ}  # a su has none
    return subprocess.run(["/usr/bin/systemctl", "--user", *words], env=environment, check=False).returncode


def _valid(name: str) -> str:
    if not NAME.fullmatch(name) or name in ("list", "end"):
        fail(EX_USAGE, f"{name!r} is no session's name; write a-z, 0-9 and -, at most 31 characters")
    return name

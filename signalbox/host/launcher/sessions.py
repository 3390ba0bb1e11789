"""claude-session: a named session in a lane that outlives the ssh connection, stops and reboots, until it is ended.

A session is a unit claude-session@NAME of the user's systemd manager with a tmux server of its own, so that nothing of
a login holds it. What it was opened with is kept (`named`), and it is opened again as it was.
"""

from __future__ import annotations

import curses
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from ..shared.output import EX_CONFIG, EX_UNAVAILABLE, EX_USAGE, ask, fail, say, tell
from . import attended, conversation, named, probes
from . import lane as lanes
from .backends_env import with_lanes
from .keys import key_of
from .named import BrokenError, Named
from .records import lane_named, read_records, require_user

USAGE = """\
claude-session NAME [--lane LANE] [--detached] [-- what claude takes]   open it, or go back to it
claude-session list                                                     those that are kept, and whether they run
claude-session end NAME                                                 end it, and keep it no longer

Leave it with Ctrl-b d: it goes on. A new one is in the shell's lane, else in routed, and in this directory. One that
has stopped, by /exit or with the host, is opened again as it was: its lane, its directory, its conversation."""
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
PROGRAM = str(Path(__file__).with_name("launch.py"))
START_SECONDS = 180  # after a reboot the gateway takes its time
TMUX = "/usr/bin/tmux"
# Claude Code uses all colours in tmux when it is told to; tmux has fewer for a terminal that has fewer.
COLOURS = {"COLORTERM": "truecolor", "CLAUDE_CODE_TMUX_TRUECOLOR": "1"}


def main(arguments: Sequence[str]) -> NoReturn:
    """Open, list or end."""
    words = list(arguments)
    cut = words.index("--") if "--" in words else len(words)
    words, rest = words[:cut], words[cut + 1 :]
    if words in ([], ["-h"], ["--help"]):
        if not words:
            fail(EX_USAGE, USAGE)
        tell(*USAGE.splitlines())
        sys.exit(0)
    records = read_records()
    require_user(records["user"])
    if words == ["list"]:
        sys.exit(_list())
    if words[0] == "end":
        if len(words) != 2:
            fail(EX_USAGE, USAGE)
        sys.exit(_end(_valid(words[1])))
    lane, detached = "", False
    names: list[str] = []
    while words:
        word = words.pop(0)
        if word == "--lane" and words:
            lane = words.pop(0)
        elif word == "--detached":
            detached = True
        elif word.startswith("-"):
            fail(EX_USAGE, f"there is no option {word}\n{USAGE}")
        else:
            names.append(_valid(word))
    if len(names) != 1:
        fail(EX_USAGE, USAGE)
    _open(records, names[0], lane, rest)
    if detached or not sys.stdin.isatty():
        say(f"{names[0]} runs; claude-session {names[0]} goes to it")
        sys.exit(0)
    _attach(names[0])


def run(arguments: Sequence[str]) -> NoReturn:
    """Be what runs in a session's terminal: Claude Code in its lane, and the end of the session after it."""
    (name,) = arguments
    try:
        session = named.read(name)
    except BrokenError as error:
        _wait(str(error))
    if session is None:
        _stays_closed(name)
    back = session.boot != boot()  # systemd has started it, and no person
    records = with_lanes(read_records(), session.lane)
    if back and not records["sessions_reopen"]:
        _stays_closed(name)  # it was opened while they were to come back
    try:
        os.chdir(session.directory)
    except OSError as error:
        _wait(f"{session.directory} cannot be entered ({error.strerror})")
    home = lane_named(records, session.lane)["environment"]["CLAUDE_CONFIG_DIR"]
    deadline = time.monotonic() + START_SECONDS
    while True:
        ended, session, trouble = _attended(session, records, home)
        if ended.told:
            sys.exit(0)  # with the host, or by claude-session end
        if ended.status != EX_UNAVAILABLE or not back or time.monotonic() > deadline:
            break
        time.sleep(2)
    if ended.status or trouble:
        _wait(trouble or f"claude-{session.lane} ended with {ended.status}")
    _stays_closed(name)


def unit(name: str) -> str:
    """Return the name of a session's unit."""
    return f"claude-session@{name}.service"


def socket(name: str) -> str:
    """Return the name of a session's tmux socket."""
    return f"claude-{name}"


def boot() -> str:
    """Return what tells this boot from others."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _attended(session: Named, records: dict[str, Any], home: str) -> tuple[attended.Ended, Named, str]:
    """Run Claude Code to its end; return that, the session with the conversation it had last, and what went wrong."""
    trouble = ""
    lane = lane_named(records, session.lane)

    def look(process: int) -> None:
        nonlocal session, trouble
        now = attended.conversation_of(home, process) or session.conversation
        new = replace(session, conversation=now, begun=_begun(lane, now))
        if new == session:
            return
        try:
            named.write(new)
            session, trouble = new, ""
        except OSError as error:
            trouble = (
                f"{named.path_of(session.name)} cannot be written ({error.strerror}); the conversation is {now}: "
                f"claude-{session.lane} --resume {now}"
            )

    if _begun(lane, session.conversation):
        words = ["--resume", session.conversation, *named.to_go_on(session.arguments)]
    else:
        begins = [] if named.chooses(session.arguments) else ["--session-id", session.conversation]
        words = [*begins, *session.arguments]
    variables = {**os.environ, **COLOURS, attended.BY: str(os.getpid())}
    return attended.attend(PROGRAM, [session.lane, *words], variables, look), session, trouble


def _begun(lane: dict[str, Any], conversation_id: str) -> bool:
    return bool(conversation_id) and (conversation.kept_in(lane) / f"{conversation_id}.jsonl").exists()


def _wait(why: str) -> NoReturn:
    """Have the reason read before the terminal closes."""
    ask(f"{why}; Enter closes this session ")
    sys.stdin.readline()
    sys.exit(0)


def _stays_closed(name: str) -> NoReturn:
    """Let the session stay closed after the next boot; it is kept all the same."""
    _systemctl("disable", "--quiet", unit(name))
    sys.exit(0)


def _open(records: dict[str, Any], name: str, lane: str, arguments: list[str]) -> None:
    """Have the session run: as it was where there is one of this name, else a new one."""
    try:
        kept = named.read(name)
    except BrokenError as error:
        fail(EX_CONFIG, f"{error}; nothing was opened or changed. claude-session end {name} takes it away")
    if kept:
        _require_same(kept, lane, arguments)
    if _runs(name):
        return
    session = kept or Named(
        name,
        lane=lane or os.environ.get("SIGNALBOX_LANE") or "routed",
        directory=os.getcwd(),
        arguments=tuple(arguments),
        boot="",
        conversation="" if named.chooses(arguments) else str(uuid.uuid4()),
    )
    try:
        os.chdir(session.directory)
    except OSError as error:
        fail(
            EX_CONFIG,
            f"{name} is in {session.directory}, which cannot be entered ({error.strerror}); make it anew, or "
            f"claude-session end {name}",
        )
    records = with_lanes(records, session.lane)
    record = lane_named(records, session.lane)
    # Told here, where a person looks, and not in a terminal that closes at once.
    lanes.prove(record, records, session.arguments)
    probes.check(session.lane, record, records["gateway"], key_of(record))
    _require_manager()
    if session.begun and not _begun(record, session.conversation):
        say(f"the conversation {session.conversation} of {name} is gone from {conversation.kept_in(record)}; a new one")
        session = replace(session, conversation=str(uuid.uuid4()), begun=False)
    session = replace(session, boot=boot(), begun=_begun(record, session.conversation))
    try:
        named.write(session)
    except OSError as error:
        fail(
            EX_CONFIG,
            f"{named.path_of(name)} cannot be written ({error.strerror}); nothing was opened, nothing is lost",
        )
    if _systemctl("start", unit(name)):
        if kept is None:
            named.forget(name)
        fail(EX_CONFIG, f"the session did not start; see systemctl --user status {unit(name)}")
    if kept:
        with_it = "with its conversation" if session.begun else "nothing had been said in it yet"
        say(f"{name} is opened again: lane {session.lane}, in {session.directory}, {with_it}")
    if records["sessions_reopen"] and _systemctl("enable", "--quiet", unit(name)):
        say(f"{name} will not be opened by itself after a reboot; claude-session {name} opens it")


def _require_same(kept: Named, lane: str, arguments: list[str]) -> None:
    """End if a session of this name is another one than was asked for."""
    name = kept.name
    if lane and lane != kept.lane:
        on = f" --session {kept.conversation}" if kept.begun else ""
        fail(
            EX_USAGE,
            f"{name} is a session of {kept.lane}, in {kept.directory}; claude-session {name} goes to it. To go on with "
            f"it in {lane}: cd {kept.directory}; claude-switch continue {lane} --from {kept.lane}{on}. For a new one: "
            f"claude-session end {name}",
        )
    if arguments and tuple(arguments) != kept.arguments:
        was = " ".join(kept.arguments) or "none"
        fail(
            EX_USAGE, f"{name} was opened with other arguments ({was}); claude-session end {name}, or take another name"
        )


def _attach(name: str) -> NoReturn:
    """Go to the session, and after it say how to come back."""
    variables = _of_tmux()
    try:
        curses.setupterm(variables.get("TERM", ""), 1)
    except curses.error:
        variables["TERM"] = "xterm-256color"  # of a terminal that this host does not know, such as a new one's
    has = ["-T", "RGB"] if variables.get("COLORTERM") in ("truecolor", "24bit") else []
    ended = attended.attend(TMUX, ["-u", *has, "-L", socket(name), "attach-session", "-t", f"={name}"], variables)
    if _runs(name):
        say(f"{name} goes on; claude-session {name} goes back to it, claude-session end {name} ends it")
    else:
        say(f"{name} has stopped; claude-session {name} opens it again, claude-session end {name} keeps it no longer")
    attended.end_as(ended.status)


def _list() -> int:
    """Print those that are kept."""
    status = 0
    for name in named.names():
        try:
            session = named.read(name)
        except BrokenError as error:
            say(str(error))
            status = EX_CONFIG
            continue
        if session:
            state = "runs" if _runs(name) else "stopped"
            tell(f"{name:<16} {session.lane:<14} {session.directory:<30} {state}")
    if not named.names():
        say("there is none; claude-session NAME opens one")
    return status


def _end(name: str) -> int:
    """End a session, and say how to go on with what was said in it."""
    runs = _runs(name)
    try:
        session, known = named.read(name), True
    except BrokenError as error:
        say(str(error))
        session, known = None, False
    if session is None and known and not runs:
        fail(EX_USAGE, f"there is no session {name}; claude-session list shows those that there are")
    if runs:
        _require_manager()
        if _systemctl("stop", unit(name)):
            fail(EX_CONFIG, f"it does not end; see systemctl --user status {unit(name)}")
    _systemctl("disable", "--quiet", unit(name), quietly=True)
    _systemctl("reset-failed", unit(name), quietly=True)
    # After its end: until then it may write down where its conversation is.
    session = named.read(name) if session else None
    named.forget(name)
    stays = ""
    if session and session.begun:
        back = f"cd {session.directory}; claude-{session.lane} --resume {session.conversation}"
        stays = f"; its conversation stays: {back}"
    say(f"{name} is ended{stays}")
    return 0


def _runs(name: str) -> bool:
    words = [TMUX, "-L", socket(name), "has-session", "-t", f"={name}"]
    return subprocess.run(words, env=_of_tmux(), capture_output=True, check=False).returncode == 0


def _of_tmux() -> dict[str, str]:
    """Return the environment in which tmux finds a session's own server, from inside of another one too."""
    return {key: value for key, value in os.environ.items() if key not in ("TMUX", "TMUX_TMPDIR")}


def _require_manager() -> None:
    """End if the user's systemd manager does not answer; let it have units that a deploy has changed."""
    words = ["/usr/bin/systemctl", "--user", "daemon-reload"]
    done = subprocess.run(words, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        uid = os.getuid()
        fail(
            EX_UNAVAILABLE,
            f"your systemd manager does not answer ({done.stderr.strip()}); nothing is lost. Log in anew (ssh), or as "
            f"root: systemctl restart user@{uid}.service",
        )


def _systemctl(*words: str, quietly: bool = False) -> int:
    told = subprocess.DEVNULL if quietly else None
    words = ("/usr/bin/systemctl", "--user", *words)
    return subprocess.run(words, env=_environment(), stderr=told, check=False).returncode


def _environment() -> dict[str, str]:
    """Return the environment in which systemctl finds this user's manager: a su has none, or another user's."""
    kept = {key: value for key, value in os.environ.items() if key != "DBUS_SESSION_BUS_ADDRESS"}
    return {**kept, "XDG_RUNTIME_DIR": f"/run/user/{os.getuid()}"}


def _valid(name: str) -> str:
    if not NAME.fullmatch(name) or name in ("list", "end"):
        fail(EX_USAGE, f"{name!r} is no session's name; write a-z, 0-9 and -, at most 31 characters")
    return name

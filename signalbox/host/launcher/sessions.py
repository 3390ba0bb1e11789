"""claude-session: a named session in a lane that outlives the ssh connection, stops and reboots, until it is ended.

A session is a unit claude-session@NAME of the user's systemd manager with a tmux server of its own, so that nothing of
a login holds it. What it was opened with is kept (`named`), and it is opened again as it was.
"""

from __future__ import annotations

import curses
import os
import re
import sys
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

from ..shared.output import EX_CONFIG, EX_USAGE, fail, say, tell
from . import attended, conversation, named, probes
from . import lane as lanes
from .backends_env import with_lanes
from .keys import key_of
from .named import BrokenError, Named
from .records import lane_named, read_records, require_user
from .session_process import begun
from .session_unit import (
    TMUX,
    boot,
    of_tmux,
    require_manager,
    runs,
    socket,
    systemctl,
    unit,
)

USAGE = """\
claude-session NAME [--lane LANE] [--detached] [-- what claude takes]   open it, or go back to it
claude-session list                                                     those that are kept, and whether they run
claude-session end NAME                                                 end it, and keep it no longer

Leave it with Ctrl-b d: it goes on. A new one is in the shell's lane, else in routed, and in this directory. One that
has stopped, by /exit or with the host, is opened again as it was: its lane, its directory, its conversation."""
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
START_SECONDS = 180  # after a reboot the gateway takes its time


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


def _open(records: dict[str, Any], name: str, lane: str, arguments: list[str]) -> None:
    """Have the session run: as it was where there is one of this name, else a new one."""
    try:
        kept = named.read(name)
    except BrokenError as error:
        fail(EX_CONFIG, f"{error}; nothing was opened or changed. claude-session end {name} takes it away")
    if kept:
        _require_same(kept, lane, arguments)
    if runs(name):
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
    require_manager()
    if session.begun and not begun(record, session.conversation):
        say(f"the conversation {session.conversation} of {name} is gone from {conversation.kept_in(record)}; a new one")
        session = replace(session, conversation=str(uuid.uuid4()), begun=False)
    session = replace(session, boot=boot(), begun=begun(record, session.conversation))
    try:
        named.write(session)
    except OSError as error:
        fail(
            EX_CONFIG,
            f"{named.path_of(name)} cannot be written ({error.strerror}); nothing was opened, nothing is lost",
        )
    if systemctl("start", unit(name)):
        if kept is None:
            named.forget(name)
        fail(EX_CONFIG, f"the session did not start; see systemctl --user status {unit(name)}")
    if kept:
        with_it = "with its conversation" if session.begun else "nothing had been said in it yet"
        say(f"{name} is opened again: lane {session.lane}, in {session.directory}, {with_it}")
    if records["sessions_reopen"] and systemctl("enable", "--quiet", unit(name)):
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
    variables = of_tmux()
    try:
        curses.setupterm(variables.get("TERM", ""), 1)
    except curses.error:
        variables["TERM"] = "xterm-256color"  # of a terminal that this host does not know, such as a new one's
    has = ["-T", "RGB"] if variables.get("COLORTERM") in ("truecolor", "24bit") else []
    ended = attended.attend(TMUX, ["-u", *has, "-L", socket(name), "attach-session", "-t", f"={name}"], variables)
    if runs(name):
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
            state = "runs" if runs(name) else "stopped"
            tell(f"{name:<16} {session.lane:<14} {session.directory:<30} {state}")
    if not named.names():
        say("there is none; claude-session NAME opens one")
    return status


def _end(name: str) -> int:
    """End a session, and say how to go on with what was said in it."""
    running = runs(name)
    try:
        session, known = named.read(name), True
    except BrokenError as error:
        say(str(error))
        session, known = None, False
    if session is None and known and not running:
        fail(EX_USAGE, f"there is no session {name}; claude-session list shows those that there are")
    if running:
        require_manager()
        if systemctl("stop", unit(name)):
            fail(EX_CONFIG, f"it does not end; see systemctl --user status {unit(name)}")
    systemctl("disable", "--quiet", unit(name), quietly=True)
    systemctl("reset-failed", unit(name), quietly=True)
    # After its end: until then it may write down where its conversation is.
    session = named.read(name) if session else None
    named.forget(name)
    stays = ""
    if session and session.begun:
        back = f"cd {session.directory}; claude-{session.lane} --resume {session.conversation}"
        stays = f"; its conversation stays: {back}"
    say(f"{name} is ended{stays}")
    return 0


def _valid(name: str) -> str:
    if not NAME.fullmatch(name) or name in ("list", "end"):
        fail(EX_USAGE, f"{name!r} is no session's name; write a-z, 0-9 and -, at most 31 characters")
    return name

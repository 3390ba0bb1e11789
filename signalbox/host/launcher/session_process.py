"""What runs in a named session's tmux, as a unit of systemd's: Claude Code, opened again for as long as it shall be."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

from ..shared.output import EX_UNAVAILABLE, ask
from . import attended, conversation, named
from .backends_env import with_lanes
from .named import BrokenError, Named
from .records import lane_named, read_records
from .session_unit import COLOURS, PROGRAM, boot, systemctl, unit

START_SECONDS = 180  # after a reboot the gateway takes its time


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


def _attended(session: Named, records: dict[str, Any], home: str) -> tuple[attended.Ended, Named, str]:
    """Run Claude Code to its end; return that, the session with the conversation it had last, and what went wrong."""
    trouble = ""
    lane = lane_named(records, session.lane)

    def look(process: int) -> None:
        nonlocal session, trouble
        now = attended.conversation_of(home, process) or session.conversation
        new = replace(session, conversation=now, begun=begun(lane, now))
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

    if begun(lane, session.conversation):
        words = ["--resume", session.conversation, *named.to_go_on(session.arguments)]
    else:
        begins = [] if named.chooses(session.arguments) else ["--session-id", session.conversation]
        words = [*begins, *session.arguments]
    variables = {**os.environ, **COLOURS, attended.BY: str(os.getpid())}
    return attended.attend(PROGRAM, [session.lane, *words], variables, look), session, trouble


def begun(lane: dict[str, Any], conversation_id: str) -> bool:
    return bool(conversation_id) and (conversation.kept_in(lane) / f"{conversation_id}.jsonl").exists()


def _wait(why: str) -> NoReturn:
    """Have the reason read before the terminal closes."""
    ask(f"{why}; Enter closes this session ")
    sys.stdin.readline()
    sys.exit(0)


def _stays_closed(name: str) -> NoReturn:
    """Let the session stay closed after the next boot; it is kept all the same."""
    systemctl("disable", "--quiet", unit(name))
    sys.exit(0)

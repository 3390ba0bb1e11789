"""What is known of one host, and until when: nothing after the first change, and no answer older than 15 seconds.

Nor any from while another deploy had the host's lock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import gevent
from paramiko import SSHException
from pyinfra.api import Host
from pyinfra.api.exceptions import PyinfraError
from pyinfra.connectors import ssh

from signalbox.engine.readahead.question import PRIVILEGES, Privileges, Question, privileges_of
from signalbox.engine.readahead.record import Record
from signalbox.engine.readahead.stream import Answer, Channel, Stream
from signalbox.shell import command_of, sh

MAX_AGE = 15.0  # seconds; who reads a plan before confirming it confirms what is, not what was
PATIENCE = 10.0  # seconds that a fact waits for its turn before it is asked in the ordinary way
LONGEST = 120  # seconds that the host works at the questions of a channel; nobody listens by then
DRAIN = 2.0  # seconds that what is still being asked may take before a change is made
CHANNELS = 2  # for each privilege; sshd's MaxSessions allows ten on a connection, a hardened one less
MAX_CHANNELS = 4

T = TypeVar("T")
_Group = tuple[Privileges, str | None]  # with sudo's password, which is in no record


def shell(host: Host, arguments: Mapping[str, Any]) -> str:
    """Return the command of a shell that reads its script from stdin, with the privileges of these arguments."""
    # Looked up in the connector's module: engine/askpass.py has put its own there. The script's parent is not sshd's
    # process for the connection: who kills $PPID ends these answers and no more.
    privileges = {key: arguments[key] for key in PRIVILEGES if key in arguments}
    script = command_of(sh("timeout -k 2 {} sh -s; exit", LONGEST))
    return ssh.make_unix_command_for_host(host.state, host, script, **privileges).get_raw_value()


def open_channel(host: Host, command: str) -> Channel | None:
    """Start `command` in a session of the host's connection; None where the server grants none, or it is gone."""
    client = cast(ssh.SSHConnector, host.connector).client
    transport = client.get_transport() if client else None
    if transport is None:
        return None
    try:
        channel = transport.open_session()
        channel.exec_command(command)
    except (OSError, EOFError, SSHException):
        return None  # the ordinary way will tell
    return cast(Channel, channel)


class Known:
    """One host in one run of one deploy."""

    def __init__(self, host: Host, record: Record) -> None:
        self._host, self._record = host, record
        self._planned = record.load()
        self._learnt: dict[Question, None] = {}
        self._changed = False
        self._asked_ahead = False
        self._began = math.inf  # when the first question was asked that has an answer here, or will have
        self._forget()

    def _forget(self) -> None:
        self._answers: dict[tuple[Question, str | None], Answer] = {}
        self._streams: dict[_Group, list[Stream]] = {}
        self._made: Any = None

    def find(self, question: Question, arguments: Mapping[str, Any]) -> list[str] | None:
        """Return the lines that answer a fact; None: ask in the ordinary way, and `learn`."""
        if self._changed:
            return None
        answer = self._find(question, arguments)
        if answer and time.monotonic() - answer.at > MAX_AGE:
            self._ask_ahead_again()
            answer = self._find(question, arguments)
        if answer:
            self._learnt[question] = None
            return answer.lines
        return None

    def once(self, make: Callable[[], T]) -> T | None:
        """Return what `make`, always the same, made of facts, made anew once they may be too old; None: changed."""
        if self._changed:
            return None
        if self._made is None or time.monotonic() - self._began > MAX_AGE:
            self._made = make()
        made: T = self._made
        return made

    def begin(self, arguments: Mapping[str, Any]) -> None:
        """Ask ahead what is planned with these privileges, before the first fact; nothing if nothing is planned."""
        privileges = privileges_of(arguments)
        if any(each.privileges == privileges for each in self._planned):
            self._streams[privileges, self._password(arguments)] = self._start(privileges, arguments)

    def learn(self, question: Question, arguments: Mapping[str, Any], lines: list[str], at: float) -> None:
        """Keep a question that was well answered in the ordinary way; `at`: time.monotonic() when it was asked."""
        self._learnt[question] = None
        if not self._changed:
            self._began = min(self._began, at)
            self._answers[question, self._password(arguments)] = Answer(lines, at)

    def ours(self, quiet: float) -> None:
        """Ask anew what was asked before this run had the host's lock, unless nobody had it for `quiet` seconds."""
        if not self._changed and time.monotonic() - quiet > self._began:
            self._ask_ahead_again()

    def changed(self) -> None:
        """Forget what is known, and read no further ahead in this run: what was changed may take its time to settle."""
        if not self._changed:
            self._changed = True
            self.settle()
            self._forget()

    def settle(self) -> bool:
        """Let what is still being asked come to its end; tell whether this run has asked ahead at all."""
        for group in self._streams.values():
            for stream in group:
                stream.finish(DRAIN)
        return self._asked_ahead

    def save(self) -> None:
        """Record what was asked; only a run that found nothing to change has asked all that the next one will."""
        for group in self._streams.values():
            for stream in group:
                stream.close()
        state = self._host.state
        complete = not (
            self._changed or self._host in state.failed_hosts or state.get_meta_for_host(self._host).ops_change
        )
        questions = [*self._learnt] if complete else [*dict.fromkeys([*self._learnt, *self._planned])]
        if self._learnt and questions != self._planned:
            self._record.save(questions)

    def _password(self, arguments: Mapping[str, Any]) -> str | None:
        if not arguments.get("_sudo"):
            return None
        return arguments.get("_sudo_password") or self._host.connector_data.get("prompted_sudo_password")

    def _find(self, question: Question, arguments: Mapping[str, Any]) -> Answer | None:
        password = self._password(arguments)
        if answer := self._answers.get((question, password)):
            return answer
        group = (question.privileges, password)
        if group not in self._streams:
            self._streams[group] = self._start(question.privileges, arguments)
        for stream in self._streams[group]:
            if question in stream.questions:
                return stream.answer(question, PATIENCE)
        return None

    def _start(self, privileges: Privileges, arguments: Mapping[str, Any]) -> list[Stream]:
        questions = [each for each in self._planned if each.privileges == privileges]
        room = MAX_CHANNELS - sum(map(len, self._streams.values()))
        parts = _parts(questions, min(CHANNELS, room))
        try:
            command = shell(self._host, arguments) if parts else ""
        except (OSError, EOFError, SSHException, PyinfraError):
            return []
        self._began = min(self._began, time.monotonic())
        # Side by side: each takes two round trips.
        opening = [gevent.spawn(open_channel, self._host, command) for _ in parts]
        channels = [each.get() for each in opening]
        streams = [Stream(channel, part) for channel, part in zip(channels, parts, strict=True) if channel]
        self._asked_ahead = self._asked_ahead or bool(streams)
        return streams

    def _ask_ahead_again(self) -> None:
        self.settle()
        self._forget()
        self._began = math.inf
        self._planned = [*dict.fromkeys([*self._learnt, *self._planned])]


def _parts(questions: Sequence[Question], number: int) -> list[Sequence[Question]]:
    """Deal the questions out like cards: facts are asked in order, so all channels are needed from the start."""
    parts = [questions[start::number] for start in range(number)] if len(questions) > 1 else []
    return [part for part in parts if part]

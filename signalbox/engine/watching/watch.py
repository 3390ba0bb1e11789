"""Hears what a run of pyinfra's does and says, and has the display show it."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

import pyinfra
from pyinfra.api import Host, State
from pyinfra.api.state import BaseStateCallback, StateStage

from signalbox.desired import symptoms
from signalbox.engine.expected import named
from signalbox.engine.watching import results, summary
from signalbox.engine.watching.course import DONE, FAILED, READING, STOPPED, WAITING, Course, HostCourse
from signalbox.engine.watching.display import Display, told_path
from signalbox.engine.watching.messages import Message, read
from signalbox.engine.watching.raw_log import RawLog

# pyinfra's caveat under each plan; `signalbox plan` tells for each change how sure it is.
_CAVEAT = "Detected changes may not include every change"
_DISCONNECTING = "--> Disconnecting"


class Watch(BaseStateCallback):
    """A callback of pyinfra's, and a handler of its log. raw: pyinfra prints; the log is kept all the same."""

    def __init__(self, state: State, *, raw: bool, dry: bool) -> None:
        self.raw, self.dry = raw, dry
        self.state = state
        self._hosts = {str(host.name): host for host in state.inventory if state.is_host_in_limit(host)}
        self._log = None if dry else RawLog()
        self.display = Display(Course(self._hosts, Display.now()), self._log, self._look)
        self._handler = _Handler(self)
        self._kept: list[logging.Handler] = []
        self._warnings = 0
        self.executed = self._finished = False
        self._at_once = False  # all hosts do the same operation

    @property
    def _course(self) -> Course:
        return self.display.course

    # ---- its beginning and its end ----

    def begin(self) -> None:
        """Take over pyinfra's log, and begin to draw."""
        self._kept = list(pyinfra.logger.handlers)
        pyinfra.logger.handlers[:] = [self._handler, *(self._kept if self.raw else ())]  # theirs changes the record
        if not self.raw:
            self.display.begin()

    def finish(self, why: str) -> None:
        """Tell how it went, and where the log is."""
        if self._finished:
            return
        self._finished = True
        self._look()
        self.display.end()
        if not self.raw:
            with suppress(Exception):  # whatever pyinfra's state is, what can be told is told
                self._tell_results()
            if why:
                self.display.tell(why, "red")
            if self._warnings and self.executed:
                self.display.tell("1 warning above" if self._warnings == 1 else f"{self._warnings} warnings above")
        if self._log and self._log.path and (self.executed or self.state.failed_hosts):
            self.display.tell(f"The whole log: {told_path(self._log.path)}")

    def _tell_results(self) -> None:
        now = self.display.now()
        found = results.results(self.state, self._course, now)
        if not self.executed:  # nothing was done: what failed is all that there is to tell
            found = [each for each in found if each.end == FAILED]
        self.display.tell_lines(summary.summary(found, symptoms.cure))
        if len(found) > 1 and self.executed:
            counts: dict[str, int] = {}
            for each in found:
                counts[each.end] = counts.get(each.end, 0) + 1
            self.display.tell(f"{len(found)} hosts: {', '.join(f'{number} {end}' for end, number in counts.items())}")

    def plan(self) -> None:
        """Tell what would change."""
        with self.display.paused():
            self.display.tell_lines(results.plan(self.state))

    # ---- what pyinfra says ----

    def hear(self, record: logging.LogRecord) -> None:
        """Keep a record in the log, and show what of it is news."""
        text, message = read(record, frozenset(self._hosts))
        if self._log and text:
            self._log.write(text)
        if self.raw:
            return
        if not message.host and text.startswith(_DISCONNECTING):
            self.display.end()
            return
        host = self._course.hosts.get(message.host)
        if record.levelno >= logging.ERROR and host is not None:
            self._failing(host, message)
        elif message.is_news:
            self._tell(host, message)

    def _failing(self, host: HostCourse, message: Message) -> None:
        if not message.is_news:
            return
        host.say(message.text)
        # At its end all of it is told, which comes at once where there is one host. Others want to know now.
        if len(self._hosts) > 1 and len(host.words) == 1:
            where = f"{host.section}: {host.operation}: " if host.operation else ""
            self.display.tell(f"[{host.name}] {where}{message.text}", "red")

    def _tell(self, host: HostCourse | None, message: Message) -> None:
        warns = message.level >= logging.WARNING
        self._warnings += warns
        if host is not None and message.text.startswith("waiting up to"):
            host.remark = message.text
        self.display.tell(message.shown, "yellow" if warns else "dim")

    def echo(self, text: str) -> None:
        """Show what pyinfra prints past its log."""
        if self._log and text.strip():
            self._log.write(text)
        if text.strip() and not text.strip().startswith(_CAVEAT):
            self.display.tell(text.strip("\n"))

    # ---- what pyinfra does ----

    def _host(self, host: Any) -> HostCourse | None:
        return self._course.hosts.get(str(host.name))

    def host_connect(self, state: State, host: Any) -> None:  # type: ignore[override]
        """Hear that a host answers."""
        if (each := self._host(host)) and state.current_stage <= StateStage.Connect:
            each.enter(WAITING, self.display.now())

    def operation_start(self, _state: State, _op_hash: Any) -> None:  # type: ignore[override]
        """Hear that all hosts begin an operation."""
        self._at_once = True

    def operation_host_start(self, state: State, host: Any, op_hash: Any) -> None:  # type: ignore[override]
        """Hear that a host begins an operation."""
        self.executed = True
        each = self._host(host)
        if each is None or op_hash not in state.ops[host] or host.executing_op_hash is not None:
            return  # it has no part in it, or it is one within another
        each.total = len(state.ops[host])
        each.work(*named(state, op_hash), self.display.now())
        self.display.entered(each, len(state.active_hosts) - 1 if self._at_once else 0)

    def operation_host_success(self, _state: State, host: Any, *_: Any) -> None:  # type: ignore[override]
        """Hear that an operation is done."""
        if (each := self._host(host)) and host.nested_executing_op_hash is None:
            each.words.clear()
            each.enter(DONE if each.number >= each.total else WAITING, self.display.now())

    def operation_host_retry(  # type: ignore[override]
        self, _state: State, host: Any, _op_hash: Any, retry_num: int, max_retries: int
    ) -> None:
        """Hear that an operation is tried again."""
        if each := self._host(host):
            each.remark = f"tries again, {retry_num} of {max_retries}: {each.operation}"

    def _look(self) -> None:
        """Bring the course up to date with what pyinfra tells nobody."""
        now, state = self.display.now(), self.state
        for name, each in self._course.hosts.items():
            host = self._hosts[name]
            if host in state.failed_hosts:
                each.enter(FAILED, now)
            elif state.current_stage == StateStage.Prepare:
                self._read(each, host, now)
        if self._finished:
            for each in self._course.hosts.values():
                each.enter(STOPPED, now)

    @staticmethod
    def _read(each: HostCourse, host: Host, now: float) -> None:
        each.total = len(host.state.ops[host])
        if host.current_deploy_name:
            each.section = str(host.current_deploy_name).split(" | ")[0]
            if each.state != READING:
                each.enter(READING, now)
        elif each.state == READING and each.section:
            each.section = ""
            each.enter(WAITING, now)


class _Handler(logging.Handler):
    """pyinfra's log, as a Watch hears it."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a record on."""
        try:
            self._watch.hear(record)
        except Exception:
            self.handleError(record)

"""How far a run is, host by host: what a screen or a log is made of. Nothing here prints, or knows pyinfra."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

# What a host does; FAILED, DONE and STOPPED are its end.
CONNECTING, READING, WAITING, WORKING = "connects", "is looked at", "waits", "works"
DONE, FAILED, STOPPED = "done", "failed", "stopped"
_ENDS = (DONE, FAILED, STOPPED)
_WORDS = 40  # lines of what a host said last that are kept of a failure
_LETTERS = 1000  # of each
_NAMED = 2  # hosts that are named where others wait for them


@dataclass
class HostCourse:
    """One host's part of a run. Times are seconds of one clock.

    number, total: of its operations: the present one, and all. since: when it began what it does now. remark: what it
    waits for beside that. words: what it said of what fails now. ended: when it came to its end, None before.
    """

    name: str
    began: float
    state: str = CONNECTING
    section: str = ""
    operation: str = ""
    number: int = 0
    total: int = 0
    since: float = 0.0
    remark: str = ""
    words: deque[str] = field(default_factory=lambda: deque(maxlen=_WORDS))
    ended: float | None = None

    def enter(self, state: str, now: float) -> None:
        """Begin something else; from an end nothing leads back."""
        if self.state in _ENDS:
            return
        self.state, self.since, self.remark = state, now, ""
        if state in _ENDS:
            self.ended = now

    def work(self, section: str, operation: str, now: float) -> None:
        """Begin the next operation."""
        self.enter(WORKING, now)
        self.section, self.operation = section, operation
        self.number += 1
        self.words.clear()

    def say(self, text: str) -> None:
        """Keep a line of what goes wrong there."""
        self.words.append(text if len(text) <= _LETTERS else f"{text[:_LETTERS]}…")

    @property
    def is_over(self) -> bool:
        """Whether it has come to its end."""
        return self.state in _ENDS

    def seconds(self, now: float) -> float:
        """Return for how long it has been part of the run."""
        return (now if self.ended is None else self.ended) - self.began


class Course:
    """All hosts of a run, by name, in their order. more: what is told below them in place of how many do what."""

    def __init__(self, names: Iterable[str], now: float) -> None:
        self.began, self.more = now, ""
        self.hosts = {name: HostCourse(name, now, since=now) for name in names}

    def at_work(self) -> list[HostCourse]:
        """Return those that others may have to wait for."""
        return [host for host in self.hosts.values() if host.state in (CONNECTING, READING, WORKING)]

    def counts(self) -> dict[str, int]:
        """Return how many hosts are at work, wait, and have come to which end."""
        found: dict[str, int] = {}
        for host in self.hosts.values():
            busy = host.state in (CONNECTING, READING, WORKING)
            word = "at work" if busy else "waiting" if host.state == WAITING else host.state
            found[word] = found.get(word, 0) + 1
        return found

    def doing(self, host: HostCourse, now: float) -> str:
        """Return what a host does, or waits for, in words."""
        if host.remark:
            return host.remark
        if host.state == WORKING:
            lasts = now - host.since
            return host.operation + (f" ({clock(lasts)})" if lasts >= 10 else "")
        if host.state == WAITING:
            others = [each.name for each in self.at_work() if each is not host]
            return f"waits for {some(others)}" if others else ""
        return "" if host.state == READING else host.state


def clock(seconds: float) -> str:
    """Return a time as 1:05, or 1:00:05."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def some(names: list[str], most: int = _NAMED) -> str:
    """Return the first names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")

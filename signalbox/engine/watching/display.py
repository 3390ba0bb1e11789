"""Shows a run: on a terminal a line a host, drawn anew; elsewhere a line a section. The raw log is in a file."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
from rich.live import Live
from rich.text import Text

from signalbox.console import is_live, watching, wrapped
from signalbox.engine.watching import screen
from signalbox.engine.watching.course import CONNECTING, READING, WAITING, WORKING, Course, HostCourse, clock
from signalbox.engine.watching.raw_log import RawLog, hidden
from signalbox.engine.watching.summary import Line
from signalbox.host.shared.output import shown

_EVERY = 0.25  # seconds between two drawings
_SILENCE = 60.0  # seconds after which a log is told that something still goes on; CI servers end what says nothing
_LETTERS = 4000  # of one message
_INDENT = "  "


class Display:
    """What is shown of one run. update: brings the course up to date before it is drawn; called again and again.

    begin() starts it, end() ends it, as often as they are called.
    """

    def __init__(self, course: Course, log: RawLog | None, update: Callable[[], None] = lambda: None) -> None:
        self.course, self.log = course, log
        self._console = watching()
        self._update = update
        self._live: Live | None = None
        self._drawer: gevent.Greenlet | None = None
        self.is_live = is_live()
        self._told = 0.0  # when a log had its last line
        self._sections: set[tuple[str, str]] = set()
        self.asks = False

    def begin(self) -> None:
        """Draw from now on."""
        self._told = self.now()
        if self.is_live:
            self._start()
        if self._drawer is None:
            self._drawer = gevent.spawn(self._draw_on)

    def end(self) -> None:
        """Leave the terminal as it was; what was told stays."""
        if self._drawer is not None:
            self._drawer.kill(block=False)
            self._drawer = None
        self._stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Give the terminal to somebody who asks a question."""
        was, self.asks = self._live is not None, True
        self._stop()
        try:
            yield
        finally:
            self.asks = False
            if was:
                self._start()

    @staticmethod
    def now() -> float:
        """Return the time of the course's clock."""
        return time.monotonic()

    def tell(self, text: str, style: str = "", depth: int = 0) -> None:
        """Print a message above the hosts' lines; its further lines are set in."""
        text = hidden(shown(text, lines=True))
        text = text if len(text) <= _LETTERS else f"{text[:_LETTERS]}…"
        for line in self._wrapped(text, depth):
            self._console.print(Text(line, style=style), soft_wrap=True)
        self._told = self.now()

    def tell_lines(self, lines: Iterable[Line]) -> None:
        """Print lines, and keep them in the log."""
        for line in lines:
            if self.log:
                self.log.write(_INDENT * line.depth + line.text)
            self.tell(line.text, line.style, line.depth)

    def entered(self, host: HostCourse, others: int) -> None:
        """Hear that a host, and so many others with it, has begun an operation; a log has a line for each section."""
        key = ("" if others else host.name, host.section)
        if self._live is not None or key in self._sections:
            return
        self._sections.add(key)
        who = f"[{host.name}]" if not others else f"[{others + 1} hosts]"
        where = f"operation {host.number} of {host.total}, {clock(self.now() - self.course.began)}"
        self.tell(f"{who} {host.section or host.operation}: {where}")

    def _wrapped(self, text: str, depth: int) -> list[str]:
        """Return the lines of a text: broken between words where a terminal ends, whole where there is none."""
        inset = _INDENT * depth
        further = f"\n{inset}{_INDENT * 2}"
        return wrapped(inset + text.replace("\n", further), self._size()[0] if self._console.is_terminal else None)

    def _start(self) -> None:
        if self._live is None:
            self._live = Live(
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=sys.stdout.isatty(),  # else it is somebody's file
                vertical_overflow="crop",
                get_renderable=self._drawn,
            )
            self._live.start(refresh=True)

    def _stop(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _drawn(self) -> Text:
        dots = "…" if self._console.encoding.startswith("utf") else ".."
        width, height = self._size()
        drawn = Text("\n", no_wrap=True, overflow="ignore")
        return drawn.join(screen.lines(self.course, width, height, self.now(), dots))

    def _size(self) -> tuple[int, int]:
        """Return the terminal's columns and lines as they are now; an exported COLUMNS is of an earlier time."""
        try:
            return tuple(os.get_terminal_size(sys.stderr.fileno()))  # type: ignore[return-value]
        except (OSError, ValueError):
            return self._console.width, self._console.height

    def _draw_on(self) -> None:
        while True:
            gevent.sleep(_EVERY)
            self._update()
            if self._live is not None:
                self._live.refresh()
            elif not self.asks and self.now() - self._told > _SILENCE:
                self._tell_all_that_goes_on()

    def _tell_all_that_goes_on(self) -> None:
        now = self.now()
        slow = [host for host in self.course.hosts.values() if host.state in (CONNECTING, READING, WORKING, WAITING)]
        if working := [host for host in slow if host.state == WORKING or host.remark]:
            slow = working
        for host in slow[:3]:
            doing = ": ".join(filter(None, (host.section, self.course.doing(host, now))))
            self.tell(f"[{host.name}] still {doing or host.state}, {clock(now - self.course.began)}")


def told_path(path: Path) -> str:
    """Return a path as a person writes it."""
    home = str(Path.home())
    text = str(path)
    return f"~{text[len(home) :]}" if text.startswith(f"{home}/") else text

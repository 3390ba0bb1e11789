"""The lines of a screen: a line a host, as wide and as many as fit, those first that something happens on."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from signalbox.engine.watching import course as course_of
from signalbox.engine.watching.course import DONE, FAILED, STOPPED, WAITING, Course, HostCourse, clock
from signalbox.host.shared.output import shown

_ORDER = (course_of.WORKING, course_of.READING, course_of.CONNECTING, WAITING, FAILED, STOPPED, DONE)
_STYLES = {DONE: "green", FAILED: "red", STOPPED: "yellow", WAITING: "dim"}
_WIDE = 64  # columns from which the section has one of its own
_SECTION = 16


def lines(course: Course, width: int, height: int, now: float, dots: str = "…") -> list[Text]:
    """Return the lines, each of less than `width` cells, and fewer than `height` of them.

    dots: what stands for what is cut off; where a terminal's encoding has no … give another.
    """
    hosts = list(course.hosts.values())
    room = max(1, height - 2)
    has_footer = len(hosts) > 1 or bool(course.more)
    if has_footer:
        room = max(1, room - 1)
    first = hosts if len(hosts) <= room else sorted(hosts, key=lambda host: _ORDER.index(host.state))[:room]
    names = max((cell_len(shown(host.name)) for host in first), default=0)
    names = min(names, max(6, width // 4))
    counts = max((len(_count(host)) for host in first), default=0)
    told = [_line(course, host, (names, counts, width), now, dots) for host in first]
    if has_footer:
        left = f"{len(hosts) - len(first)} more; " if len(first) < len(hosts) else ""
        numbers = ", ".join(f"{number} {word}" for word, number in course.counts().items())
        last = f"{left}{course.more or f'{len(hosts)} hosts: {numbers}'}, {clock(now - course.began)}"
        told.append(Text(cut(last, width - 1, dots), style="dim"))
    return told


def _count(host: HostCourse) -> str:
    return f"{host.number}/{host.total}" if host.total else ""


def _line(course: Course, host: HostCourse, sizes: tuple[int, int, int], now: float, dots: str) -> Text:
    names, counts, width = sizes
    name = set_cell_size(cut(shown(host.name), names, dots, middle=True), names)
    numbers = f"{_count(host):>{counts}} {clock(host.seconds(now)):>5}"
    section, doing = shown(host.section), shown(course.doing(host, now))
    if host.is_over:
        section, doing = "", host.state
    if width >= _WIDE:
        section = set_cell_size(cut(section, _SECTION, dots), _SECTION) + " "
    else:
        section = f"{section}: " if section and doing else section
    line = Text(f"{name} ", style="bold")
    line.append(f"{numbers} ", style="not bold")
    room = width - 1 - cell_len(line.plain)
    return line.append(cut(section + doing, room, dots), style=f"not bold {_STYLES.get(host.state, '')}".strip())


def cut(text: str, cells: int, dots: str, *, middle: bool = False) -> str:
    """Return a text of at most so many cells; middle: both ends of it stay, since names often differ at their end."""
    if cell_len(text) <= cells:
        return text
    if cells <= len(dots):
        return dots[: max(0, cells)]
    left = cells - len(dots)
    if not middle:
        return set_cell_size(text, left).rstrip() + dots
    head = left // 2
    tail = ""
    for letter in reversed(text):
        if cell_len(letter + tail) > left - head:
            break
        tail = letter + tail
    return set_cell_size(text, head) + dots + tail

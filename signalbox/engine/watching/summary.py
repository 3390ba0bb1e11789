"""What is told at the end of a run: what changed, what did not, what failed in the host's words, what comes next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from signalbox.engine.watching.course import DONE, FAILED, clock, some

Operation = tuple[str, str]  # its section ("" outside of one) and its name

_LISTED = 8  # changes that are named one by one; more are counted by section
_SAID = 12  # lines of a host's words
_HOSTS = 5  # that are named before a line of all of them


@dataclass(frozen=True)
class Result:
    """How a run went on one host. end: DONE, FAILED or STOPPED. at: where it failed or stopped; None: before the first
    operation. number, total: of that operation, and all. words: what the host said of it. reached: it was connected.
    """

    host: str
    end: str
    seconds: float
    changed: tuple[Operation, ...] = ()
    unchanged: tuple[Operation, ...] = ()
    at: Operation | None = None
    number: int = 0
    total: int = 0
    words: tuple[str, ...] = ()
    reached: bool = True


@dataclass(frozen=True)
class Line:
    """One line. depth: how far it is set in. style: of rich, "" for none."""

    text: str
    depth: int = 0
    style: str = ""


def summary(results: Sequence[Result], next_step: Callable[[str], str]) -> Iterator[Line]:
    """Yield the lines; hosts with the same result share them. next_step: what to do about such words of a host's."""
    alike: dict[tuple[object, ...], list[Result]] = {}
    for result in results:
        if result.end == DONE:
            alike.setdefault((result.changed, result.unchanged), []).append(result)
    for group in alike.values():
        yield from _done(group)
    for result in results:
        if result.end != DONE:
            yield from _not_done(result, next_step)


def _done(group: Sequence[Result]) -> Iterator[Line]:
    one = group[0]
    head = f"[{some([each.host for each in group], _HOSTS)}]"
    took = clock(max(each.seconds for each in group))
    if not one.changed:
        yield Line(
            f"{head} nothing changed: all {len(one.unchanged)} operations found it as wanted, {took}", 0, "green"
        )
        return
    found = f", {len(one.unchanged)} found it as wanted" if one.unchanged else ""
    operations = "1 operation" if len(one.changed) == 1 else f"{len(one.changed)} operations"
    yield Line(f"{head} done: {operations} changed something{found}, {took}", 0, "green")
    yield from _changes(one.changed)
    changed = {section for section, _ in one.changed}
    rest = [section for section in dict.fromkeys(section for section, _ in one.unchanged) if section not in changed]
    if rest and len(one.changed) > 1:
        yield Line(f"as it was: {', '.join(filter(None, rest))}", 1)


def _changes(changed: Sequence[Operation]) -> Iterator[Line]:
    if len(changed) <= _LISTED:
        for operation in changed:
            yield Line(f"changed: {_words(operation)}", 1)
        return
    sections = Counter(section or "others" for section, _ in changed)
    yield Line(f"changed: {', '.join(f'{section} {number}' for section, number in sections.items())}", 1)


def _not_done(result: Result, next_step: Callable[[str], str]) -> Iterator[Line]:
    style = "red" if result.end == FAILED else "yellow"
    where = (
        f" at {result.number} of {result.total}, {_words(result.at)}" if result.at else " before its first operation"
    )
    yield Line(f"[{result.host}] {result.end}{where}, {clock(result.seconds)}", 0, style)
    if result.words:
        yield Line("why:", 1)
        if len(result.words) > _SAID:
            yield Line(f"({len(result.words) - _SAID} lines before these are in the log)", 2)
        for words in result.words[-_SAID:]:
            yield Line(words, 2)
    if result.changed:
        yield from _changes(result.changed)
    if result.at:
        left = result.total - result.number
        undone = f"{left} operations after it" if left != 1 else "1 operation after it"
        yield Line(f"not done: it, and {undone}. What is done stays, and the next run goes on there", 1)
    yield Line(f"next: {_next(result, next_step)}", 1)


def _next(result: Result, next_step: Callable[[str], str]) -> str:
    if result.end != FAILED:
        return "run the same again"
    if not result.reached:
        return "see that it is on, and that ssh reaches it from here; then run the same again"
    known = next_step("\n".join(result.words))
    return f"{known} Then run the same again" if known else "put right what it says, then run the same again"


def _words(operation: Operation | None) -> str:
    return ": ".join(filter(None, operation or ()))

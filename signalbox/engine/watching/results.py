"""What pyinfra knows of a run, as results by host, and as a plan."""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra.api import Host, State

from signalbox.engine.expected import certainty_of, named
from signalbox.engine.watching.course import DONE, FAILED, STOPPED, Course, HostCourse, some
from signalbox.engine.watching.summary import Line, Operation, Result

_CERTAINTY = {"will": "", "may": "perhaps: ", "unknown": "cannot tell: "}


def results(state: State, course: Course, now: float) -> list[Result]:
    """Return how the run went on each host that it was for."""
    hosts = {str(host.name): host for host in state.inventory}
    return [_result(state, hosts[each.name], each, now) for each in course.hosts.values()]


def _result(state: State, host: Host, course: HostCourse, now: float) -> Result:
    changed: list[Operation] = []
    unchanged: list[Operation] = []
    at: Operation | None = None
    number = done = 0
    for op_hash, data in state.ops[host].items():
        meta, operation = data.operation_meta, named(state, op_hash)
        if not meta.is_complete():
            continue
        done += 1
        if not meta.did_succeed():
            at, number = operation, done
        else:
            (changed if meta.did_change() else unchanged).append(operation)
    total = len(state.ops[host])
    end = FAILED if host in state.failed_hosts else DONE if total and done == total else STOPPED
    if end != DONE and at is None and course.number:
        at, number = (course.section, course.operation), course.number
    return Result(
        host=course.name,
        end=end,
        seconds=course.seconds(now),
        changed=tuple(changed),
        unchanged=tuple(unchanged),
        at=at,
        number=number,
        total=total,
        words=tuple(course.words),
        reached=host in state.activated_hosts,
    )


def plan(state: State) -> Iterator[Line]:
    """Yield what a run would change, section by section; hosts with the same changes share their lines."""
    alike: dict[tuple[Operation, ...], list[str]] = {}
    for host in state.inventory.iter_activated_hosts():
        if host not in state.failed_hosts:
            alike.setdefault(tuple(_changes(state, host)), []).append(str(host.name))
    for changes, names in alike.items():
        if not changes:
            yield Line(f"[{some(names, 5)}] nothing would change", 0, "green")
            continue
        count = "1 operation" if len(changes) == 1 else f"{len(changes)} operations"
        yield Line(f"[{some(names, 5)}] {count} would change something", 0, "yellow")
        present = ""
        for section, operation in changes:
            if section and section != present:
                yield Line(section, 1)
            present = section
            yield Line(operation, 2)


def _changes(state: State, host: Host) -> Iterator[Operation]:
    moving: set[str] = set()
    for op_hash, data in state.ops[host].items():
        section, operation = named(state, op_hash)
        certainty, _ = certainty_of(state, data.operation_meta, data.global_arguments.get("_if"), moving)
        if certainty is not None:
            moving.add(op_hash)
            yield section, f"{_CERTAINTY[certainty]}{operation}"

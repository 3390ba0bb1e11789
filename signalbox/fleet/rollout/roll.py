"""The course of a rollout: wave after wave, each verified before the next, back where it fails, an end in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyinfra.api import Host, State
from pyinfra.api.state import BaseStateCallback

from signalbox.engine import deployed, hooks
from signalbox.engine.deploy_scope import commit, touched
from signalbox.engine.driver import Outcome, drive
from signalbox.engine.expected import named
from signalbox.engine.lock import WAITING_FOR
from signalbox.engine.watching.display import told_path
from signalbox.engine.watching.raw_log import RawLog
from signalbox.fleet import verify as health
from signalbox.fleet.plan.report import examine
from signalbox.fleet.rollout import last_known_good
from signalbox.fleet.rollout.progress import DEPLOYING, DONE, FAILED, PUT_BACK, VERIFYING, Progress
from signalbox.host.doctor.symptoms import FAILURE

UNKNOWN = "unknown"
_AGAIN = 2.0  # seconds between two looks at a host that is not well yet
_LINE = 200  # letters of a reason; `signalbox plan` and `signalbox verify` tell all


@dataclass(frozen=True)
class Course:
    """What is rolled out, and how carefully.

    arguments: pyinfra's own beside those that select hosts, such as --data. deploying: more for deploys alone, such as
    --serial. max_failures: how many hosts in all may
    fail before it stops; a canary that fails stops it at once. pause: seconds between waves. verify: False: a second
    plan must be clean, and that is all. settle: seconds in which a check that fails is made again, since what has
    just been replaced may still be starting. say: one line of what happens, for people.
    """

    inventory: str
    deploy: str
    arguments: Sequence[str] = ()
    deploying: Sequence[str] = ()
    max_failures: int = 0
    pause: float = 0
    verify: bool = True
    settle: float = 0
    say: Callable[[str], None] = field(default=lambda _line: None)


Step = Callable[[str, str, str, int], None]  # hears a host, the section and the name of its operation, how many it has


class _Watch(BaseStateCallback):
    """Tells how far a host is while it is deployed to."""

    def __init__(self, step: Step) -> None:
        self._step = step

    def operation_host_start(self, state: State, host: Any, op_hash: str) -> None:  # type: ignore[override]
        """Tell the operation that begins."""
        if op_hash in state.ops[host] and host.executing_op_hash is None:
            self._step(host.name, *named(state, op_hash), len(state.ops[host]))


def roll(course: Course, progress: Progress, step: Step) -> bool:
    """Go through the waves that are left; `step` hears which operation runs on which host.

    Returns whether all hosts are done. What has failed before a resumed rollout is tried again.
    """
    left = progress.waves()
    for place, wave in enumerate(left):
        number = progress.hosts[wave[0]].wave
        name = "canaries" if number == 0 else f"wave {number}"
        course.say(f"{name}: {', '.join(wave)}")
        _wave(course, progress, wave, step)
        failures = progress.failures()
        failed_canary = number == 0 and any(host in failures for host in wave)
        if failed_canary or len(failures) > course.max_failures:
            why = "a canary failed" if failed_canary else f"{len(failures)} failed, {course.max_failures} may"
            course.say(f"stopped after {name}: {why} ({', '.join(failures)})")
            return False
        if course.pause and place + 1 < len(left):
            course.say(f"pausing for {course.pause:g} s")
            time.sleep(course.pause)
    return not progress.failures()


def _wave(course: Course, progress: Progress, wave: list[str], step: Step) -> None:
    back = {host: last_known_good.way_back(course.inventory, course.deploy, host) for host in wave}
    for host in wave:
        progress.set(host, DEPLOYING)
    hooks.watchers[:] = [_Watch(step)]
    try:
        outcome = _deploy(course, wave)
    finally:
        hooks.watchers.clear()
    problems = _deployed(outcome, wave)
    for host in wave:
        if host not in problems:
            progress.set(host, VERIFYING)
    problems.update(_verified(course, [host for host in wave if host not in problems]))
    sound = [host for host in wave if host not in problems]
    if outcome.state is not None:
        inventory = outcome.state.inventory
        last_known_good.remember(course.inventory, inventory, sound)
        for host in sound:
            progress.set(host, DONE, commit=commit(), basis=last_known_good.basis(inventory, host))
    for host, problem in problems.items():
        last = deployed.recall(course.inventory, host)
        progress.set(host, FAILED, problem, commit=str(last) if last else None)
        if outcome.state is not None and _touched(outcome.state, host):
            _put_back(course, progress, host, problem, back[host], outcome.state)


def _deploy(course: Course, hosts: Sequence[str]) -> Outcome:
    log = RawLog()

    def tell(line: str) -> None:
        log.write(line)
        text = line.partition("]")[2].strip() if line.startswith("[") else line
        if WAITING_FOR in line or text.startswith("warning: "):
            course.say(line.strip())

    try:
        return drive(
            course.inventory, course.deploy, ["-y", *course.arguments, *course.deploying, *limits(hosts)], tell
        )
    finally:
        log.close()
        if log.path is not None:
            course.say(f"The whole log: {told_path(log.path)}")


def _touched(state: State, name: str) -> bool:
    """Return whether something may be other there than before: what was changed, or has failed."""
    host = _by_name(state).get(name)
    if host is None or not touched(state, host):
        return False
    metas = [data.operation_meta for data in state.ops[host].values()]
    return any(meta.is_complete() and (meta.did_change() or not meta.did_succeed()) for meta in metas)


def _by_name(state: State) -> dict[str, Host]:
    return {str(host.name): host for host in state.inventory}


def _deployed(outcome: Outcome, hosts: Sequence[str]) -> dict[str, str]:
    """Return why, of those hosts that were not deployed to from the first operation to the last."""
    if outcome.state is None:
        return dict.fromkeys(hosts, outcome.error or "pyinfra ended before it had read the inventory")
    problems = {}
    by_name = _by_name(outcome.state)
    for name in hosts:
        host = by_name.get(name)
        if host is None:
            problems[name] = "the inventory does not hold it any more"
            continue
        whole = bool(outcome.state.ops[host]) and all(
            data.operation_meta.did_succeed(_raise_if_not_complete=False) for data in outcome.state.ops[host].values()
        )
        if host not in outcome.state.activated_hosts or host in outcome.state.failed_hosts or not whole:
            problems[name] = _why(outcome, host) or "not deployed to the end"
    return problems


def _why(outcome: Outcome, host: Host) -> str:
    """Return why the deploy failed there, in a line: the operation with its last word, else the first error."""
    state = outcome.state
    assert state is not None
    told = [line for line in outcome.errors.get(str(host.name), ()) if line and not line.startswith("Error: executed")]
    for op_hash, data in state.ops[host].items():
        meta = data.operation_meta
        if meta.is_complete() and not meta.did_succeed(_raise_if_not_complete=False):
            return short([": ".join([" / ".join(sorted(state.op_meta[op_hash].names)), *told[-1:]])])
    return short([*told, outcome.error.replace("No hosts remaining!", "")])


def short(told: Iterable[str]) -> str:
    """Return the first of what went wrong in one line, and how much more there is."""
    lines = [line.strip() for line in dict.fromkeys(told) if line.strip()]
    first = " ".join(lines[0].split()) if lines else ""
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return (first if len(first) <= _LINE else f"{first[: _LINE - 1]}…") + more


def _verified(course: Course, hosts: Sequence[str]) -> dict[str, str]:
    """Return what is wrong with those hosts that do not pass: the second plan is clean, and all checks are well."""
    if not hosts:
        return {}
    problems: dict[str, str] = {}
    report = examine(drive(course.inventory, course.deploy, ["--dry", *course.arguments, *limits(hosts)]))
    examined = {each.host: each for each in report.hosts}
    for host in hosts:
        each = examined.get(host)
        if each is None or each.verdict != "clean":
            drift = [change.operation for change in each.changes] if each else []
            told = [*(each.problems if each else report.problems), *drift]
            problems[host] = f"not clean after the deploy: {short(told) or 'not examined'}"
    rest = [host for host in hosts if host not in problems]
    if not course.verify or not rest:
        return problems
    ends = time.monotonic() + course.settle
    while True:
        unwell = _unwell(course, rest)
        if not unwell or time.monotonic() > ends:
            return {**problems, **unwell}
        rest = list(unwell)
        time.sleep(_AGAIN)


def _unwell(course: Course, hosts: Sequence[str]) -> dict[str, str]:
    """Return what `signalbox verify` finds wrong with those hosts that do not pass."""
    try:
        checked = health.verify(course.inventory, [*course.arguments, *limits(hosts)])
    except RuntimeError as error:
        return dict.fromkeys(hosts, f"not verified: {error}")
    problems = {}
    for found in checked:
        if found.verdict in (FAILURE, UNKNOWN):
            told = [found.problem, *(finding.cause for finding in found.findings if finding.level == FAILURE)]
            problems[found.host] = f"verification failed: {short(told)}"
    return problems


def _put_back(
    course: Course, progress: Progress, host: str, problem: str, back: last_known_good.WayBack, state: State
) -> None:
    if back.settings is None:
        progress.set(host, FAILED, f"{problem}; {back.why}")
        return
    then = back.commit or "its last verified rollout"
    course.say(f"{host}: putting back the settings of {then}")
    with last_known_good.instead(state.inventory, host, back.settings):
        again = _deployed(_deploy(course, [host]), [host]) or _verified(course, [host])
    if again:
        progress.set(host, FAILED, f"{problem}; putting it back failed too: {again[host]}")
    else:
        progress.set(host, PUT_BACK, f"settings of {then} again, since {problem}", commit=commit())


def limits(hosts: Sequence[str]) -> list[str]:
    """Return pyinfra's arguments that select these hosts."""
    return [word for host in hosts for word in ("--limit", host)]

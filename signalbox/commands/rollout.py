"""`signalbox rollout`: a deploy over many hosts that nobody has to watch."""

from __future__ import annotations

import fcntl
import fnmatch
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import click
from click.core import ParameterSource
from pyinfra.api import Host, State
from pyinfra.api.exceptions import DeployError, NoGroupError

from signalbox.commands.options import run_options
from signalbox.console import FAILED as FAILURE
from signalbox.console import OK, Failure, json_option, print_json, print_table
from signalbox.engine import deployed, hooks
from signalbox.engine.deploy_scope import who
from signalbox.engine.driver import drive
from signalbox.engine.history import state_directory
from signalbox.engine.watching import course as watched
from signalbox.engine.watching.course import Course as Watched
from signalbox.engine.watching.display import Display
from signalbox.fleet.rollout.last_known_good import basis
from signalbox.fleet.rollout.progress import DONE, FAILED, PUT_BACK, HostProgress, Progress, divided
from signalbox.fleet.rollout.roll import Course, Step, roll

_SELECT = ("--limit", "--exclude")


@click.command()
@run_options
@click.option(
    "--canary",
    "canaries",
    multiple=True,
    metavar="NAME",
    help="Host, pattern or group that goes first; default: the first host.",
)
@click.option(
    "--wave", "size", default="25%", show_default=True, metavar="N|N%", help="Hosts of each wave after the canaries."
)
@click.option("--pause", default=0.0, metavar="SECONDS", help="Wait between waves.")
@click.option("--max-failures", default=0, metavar="N", help="Go on while no more than N hosts have failed.")
@click.option("--lock-wait", type=int, metavar="SECONDS", help="Wait so long for another deploy of a host.")
@click.option(
    "--verify/--no-verify", default=True, help="Have `signalbox verify` look at each wave, beside a second plan."
)
@click.option(
    "--settle",
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Make checks that fail again for so long: what was replaced may still be starting.",
)
@click.option("--serial", is_flag=True, help="Within a wave one host after the other, as pyinfra's.")
@click.option("--no-wait", is_flag=True, help="Within a wave no host waits for the others, as pyinfra's.")
@click.option(
    "--fail-percent", type=int, metavar="N", help="End a wave's deploy when N% of its hosts fail, as pyinfra's."
)
@click.option("--resume", is_flag=True, help="Go on where the last rollout of this inventory ended, however it ended.")
@json_option
def rollout(
    inventory: str, deploy: str, selectors: list[str], canaries: tuple[str, ...], size: str, pause: float,
    max_failures: int, lock_wait: int | None, verify: bool, settle: float, serial: bool, no_wait: bool,
    fail_percent: int | None, resume: bool, as_json: bool,
) -> None:  # fmt: skip
    """Deploy to the project's hosts in waves: canaries first, each wave verified before the next.

    It stops when a canary fails, or more than --max-failures hosts; hosts of later waves are then as they were. A host
    that fails is put back to the settings of its last verified rollout.

    \b
    Exit status: 0  every host is done
                 1  a host failed, or it was stopped; --resume goes on
    """
    pairs = list(zip(selectors[::2], selectors[1::2], strict=True))
    arguments = [word for pair in pairs if pair[0] not in _SELECT for word in pair]
    if lock_wait is not None:
        arguments += ["--data", f"lock.wait_seconds={lock_wait}"]
    given = click.get_current_context().get_parameter_source
    if resume and any(given(name) == ParameterSource.COMMANDLINE for name in ("canaries", "size")):
        raise click.UsageError("--resume: its canaries and waves are those of the rollout that it goes on with")
    deploying = [*["--serial"] * serial, *["--no-wait"] * no_wait]
    if fail_percent is not None:
        deploying += ["--fail-percent", str(fail_percent)]
    subject: dict[str, object] = {"inventory": str(Path(inventory).resolve()), "deploy": str(Path(deploy).resolve()),
               "selectors": selectors}  # fmt: skip
    path = state_directory() / "rollouts" / f"{deployed.key(inventory)}.json"
    with _alone(path.with_suffix(".lock")):
        state = _examined(inventory, deploy, selectors)
        hosts = {str(host.name): basis(state.inventory, host.name) for host in _selected(state)}
        if resume:
            progress = _resumed(path, subject, hosts)
        else:
            progress = Progress(path, subject, _waves(state, list(hosts), canaries, size))
            for name, each in progress.hosts.items():
                each.commit = str(deployed.recall(inventory, name) or "")
            progress.save()
        with _shown(progress) as (step, say):
            course = Course(
                inventory, deploy, arguments, deploying, max_failures=max_failures, pause=pause, verify=verify,
                settle=settle, say=say,
            )  # fmt: skip
            try:
                done = roll(course, progress, step)
            except KeyboardInterrupt:
                say("interrupted; --resume goes on here")
                done = False
    _summary(progress, as_json)
    sys.exit(OK if done else FAILURE)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold this machine's lock of rollouts of one inventory; it ends with the process."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file: IO[str]
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Failure(f"another rollout of this inventory runs: {file.read().strip()}") from None
        file.truncate(0)
        file.write(f"{who()} since {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n")
        file.flush()
        yield


def _waves(state: State, hosts: list[str], canaries: tuple[str, ...], size: str) -> dict[str, HostProgress]:
    """Divide the selected hosts into waves; a canary is named as pyinfra's --limit names hosts."""
    first = {pattern: _matching(state, hosts, pattern) for pattern in canaries}
    if unmatched := [pattern for pattern, found in first.items() if not found]:
        raise click.UsageError(f"--canary: no selected host is called {', '.join(unmatched)}; there are {_some(hosts)}")
    try:
        return divided(hosts, [host for found in first.values() for host in found] or hosts[:1], size)
    except ValueError as error:
        raise click.UsageError(f"--wave: {error}") from None


def _matching(state: State, hosts: list[str], pattern: str) -> list[str]:
    try:
        found = {str(host.name) for host in state.inventory.get_group(pattern)}
    except NoGroupError:
        found = set(fnmatch.filter(hosts, pattern))
    return [host for host in hosts if host in found]


def _resumed(path: Path, subject: dict[str, object], hosts: dict[str, str]) -> Progress:
    """Return the last rollout; hosts that were done with other code or settings than today's wait again."""
    progress = Progress.load(path)
    if progress is None:
        raise Failure("there is no rollout of this inventory to resume; leave --resume out")
    for name, value in subject.items():
        if progress.subject.get(name) != value:
            before, now = progress.subject.get(name), value
            words = f"the last rollout had another {name} ({before}, now {now})"
            raise Failure(f"{words}; start a new one without --resume")
    if others := set(hosts) ^ set(progress.hosts):
        raise Failure(f"the last rollout had other hosts ({_some(sorted(others))}); start a new one without --resume")
    progress.again(hosts.__getitem__)
    return progress


def _examined(inventory: str, deploy: str, selectors: list[str]) -> State:
    """Return the inventory as pyinfra reads it, with the settings and secrets of all selected hosts found sound."""
    outcome = drive(inventory, "debug-inventory", selectors)
    problems = [text for text in outcome.warnings.get("", []) if text.startswith("No host matches found")]
    state = outcome.state
    if state is None or problems or not _selected(state):
        raise Failure("; ".join(problems) or outcome.error or "no host is selected: is the inventory empty?")
    # By its name a wave selects a host, and pyinfra takes a group of that name first.
    groups: dict[str, list[Host]] = state.inventory.groups
    if both := [name for host in _selected(state) if groups.get(name := str(host.name), [host]) != [host]]:
        raise Failure(f"{both[0]} is the name of a host, and of a group with others in it: give one another name")
    try:
        hooks.check(state, deploy)
    except DeployError as error:
        raise Failure(str(error)) from None
    return state


def _selected(state: State) -> list[Host]:
    return [host for host in state.inventory if state.is_host_in_limit(host)]


def _some(hosts: list[str]) -> str:
    return ", ".join(hosts[:10]) + (f" and {len(hosts) - 10} more" if len(hosts) > 10 else "")


@contextmanager
def _shown(progress: Progress) -> Iterator[tuple[Step, Callable[[str], None]]]:
    """Show hosts' states as they change: on a terminal a line for each host of the present wave; else one a change."""
    display, began = Display(Watched((), Display.now()), None), Display.now()

    def step(host: str, section: str, operation: str, total: int) -> None:
        if each := display.course.hosts.get(host):
            each.total = total
            each.work(section, operation, display.now())

    def told(host: str, each: HostProgress) -> None:
        if not display.is_live:
            display.tell(f"{host}: {each.state}{f' ({each.detail})' if each.detail else ''}")
        if host not in display.course.hosts:
            wave = [name for name, other in progress.hosts.items() if other.wave == each.wave]
            display.course = Watched(wave, display.now())
            display.course.began = began
        ends = {DONE: watched.DONE, FAILED: watched.FAILED, PUT_BACK: watched.STOPPED}
        line = display.course.hosts[host]
        line.enter(ends.get(each.state, watched.WAITING), display.now())
        line.remark = "" if each.state in ends else each.state
        counts = Counter(other.state for other in progress.hosts.values())
        display.course.more = ", ".join(f"{number} {state}" for state, number in counts.items())

    progress.told = told
    display.begin()
    try:
        yield step, display.tell
    finally:
        display.end()


def _summary(progress: Progress, as_json: bool) -> None:
    if as_json:
        hosts = [{"host": host, **each.__dict__} for host, each in progress.hosts.items()]
        print_json({"schema": 1, "done": all(each.state == DONE for each in progress.hosts.values()), "hosts": hosts})
        return
    rows = [
        (host, "canary" if each.wave == 0 else str(each.wave), each.state, each.commit, each.detail)
        for host, each in progress.hosts.items()
    ]
    print_table(["host", "wave", "state", "has", "why"], rows)

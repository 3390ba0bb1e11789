"""From pyinfra's state after a dry run to what may be said of each host: clean, drift, or unknown.

Clean is said only of a host that was reached and whose every operation was examined.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from pyinfra.api import Host, State

from signalbox.engine.changes import differences
from signalbox.engine.driver import Outcome
from signalbox.engine.expected import Certainty, certainty_of, named

SCHEMA = 1  # of the JSON; docs/plan.md says what each version holds

Verdict = Literal["clean", "drift", "unknown"]


@dataclass(frozen=True)
class Change:
    """One operation that is not at rest.

    certainty: will: it changes the host. may: it does if one of `because` does. unknown: nothing but a run can tell.
    because: names of operations. differences: from what to what, never content.
    """

    task: str
    operation: str
    certainty: Certainty
    because: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class HostReport:
    """What was found out of one host.

    operations: how many were examined. at_rest: names of those with no change. remarks: what a person may want to
    know; nothing is wrong and nothing would change.
    """

    host: str
    verdict: Verdict
    operations: int
    changes: tuple[Change, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    at_rest: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Report:
    """The whole plan. problems: of no single host, such as an inventory that holds none."""

    hosts: tuple[HostReport, ...]
    problems: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Unknown as soon as one host is; drift as soon as one host has some."""
        verdicts = {host.verdict for host in self.hosts}
        if self.problems or not verdicts or "unknown" in verdicts:
            return "unknown"
        return "drift" if "drift" in verdicts else "clean"

    def to_json(self) -> dict[str, Any]:
        """Return the document that docs/plan.md describes."""
        hosts = []
        for host in self.hosts:
            values = asdict(host)
            del values["at_rest"]
            hosts.append(values)
        return {"schema": SCHEMA, "verdict": self.verdict, "problems": list(self.problems), "hosts": hosts}


def examine(outcome: Outcome) -> Report:
    """Return what a dry run found out. Never raises: what cannot be told is unknown, with the reason."""
    state = outcome.state
    general = [*outcome.errors.get("", []), *_missed(outcome.warnings.get("", []))]
    if state is None:
        return Report((), tuple(general) or (outcome.error or "pyinfra ended before it had read the inventory",))
    hosts = [host for host in state.inventory if state.is_host_in_limit(host)]
    if not hosts:
        return Report((), (*general, outcome.error or "no host is selected: is the inventory empty?"))
    # With every host failed pyinfra ends early, and each host's own problem says why.
    broken = outcome.error if outcome.error and outcome.error != "No hosts remaining!" else ""
    if broken:
        general.append(broken)
    reports = (_of_host(state, host, outcome, broken) for host in sorted(hosts, key=lambda host: str(host.name)))
    return Report(tuple(reports), tuple(dict.fromkeys(general)))


def _missed(warnings: list[str]) -> list[str]:
    """Return what pyinfra only warns of and goes on without: a pattern that selects no host."""
    return [warning for warning in warnings if warning.startswith("No host matches found")]


def _of_host(state: State, host: Host, outcome: Outcome, broken: str) -> HostReport:
    name = str(host.name)
    problems = list(outcome.errors.get(name, []))
    if host not in state.activated_hosts:
        problems = problems or ["not reached"]
    elif host in state.failed_hosts:
        problems = problems or ["failed while it was examined"]
    elif broken:
        problems.append("not examined to the end")
    elif not state.ops[host]:
        problems.append("the deploy has no operation for this host")
    # After a fact that failed every comparison was one with nothing: none of them is told.
    changes, at_rest = ([], []) if problems else _changes(state, host)
    if problems or any(change.certainty == "unknown" for change in changes):
        verdict: Verdict = "unknown"
    else:
        verdict = "drift" if changes else "clean"
    return HostReport(
        host=name,
        verdict=verdict,
        operations=len(state.ops[host]),
        changes=tuple(changes),
        problems=tuple(dict.fromkeys(problems)),
        warnings=tuple(text.removeprefix("warning: ") for text in outcome.warnings.get(name, [])),
        remarks=tuple(dict.fromkeys(outcome.remarks.get(name, []))),
        at_rest=tuple(at_rest),
    )


def _changes(state: State, host: Host) -> tuple[list[Change], list[tuple[str, str]]]:
    changes, at_rest, moving = [], [], set[str]()
    for op_hash, data in state.ops[host].items():
        task, operation = named(state, op_hash)
        certainty, because = certainty_of(state, data.operation_meta, data.global_arguments.get("_if"), moving)
        if certainty is None:
            at_rest.append((task, operation))
            continue
        moving.add(op_hash)
        told = tuple(differences(host, op_hash))
        changes.append(Change(task, operation, certainty, because, told))
    return changes, at_rest

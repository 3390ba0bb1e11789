"""Verify: what the checks of claude-doctor see on a host, asked from the controller; read-only and free by default.

`pyinfra INVENTORY verify.py` and `signalbox verify` run `verify_host` on every host, side by side, and
`reports(outcome)` hands the results to whoever ran them, such as a rollout between two waves.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pyinfra import host as current
from pyinfra import logger
from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from signalbox.desired import symptoms
from signalbox.engine.driver import Outcome, drive
from signalbox.engine.outcome import fail, warn
from signalbox.host import programs
from signalbox.host.doctor.check_models import OF_A_REFUSAL
from signalbox.host.doctor.remote import BOOT, packed
from signalbox.host.doctor.symptoms import FAILURE, WARNING
from signalbox.host.shared.output import shown
from signalbox.shell import Script, sh
from signalbox.untrusted import json_of

OK, UNKNOWN = "ok", "unknown"
LIMIT = 180  # seconds for one host
_ANSWER_BYTES = 1024 * 1024
_KEPT = "signalbox_verify"


@dataclass(frozen=True)
class Finding:
    """One cause: `symptom` is its id in docs/troubleshooting.md, `level` failure or warning, `seen` what was seen."""

    symptom: str
    level: str
    what: str
    seen: str
    cause: str
    cure: str


@dataclass(frozen=True)
class Report:
    """What is known of one host.

    checks: titles of all checks that ran. findings: the causes of what is not well. problem: why it could not be
    looked at, "" when it could. drills: one sentence for each lane that failed over. undrilled: why there was no drill
    although one was asked for, else "". seconds: of wall clock.
    """

    host: str
    checks: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    problem: str = ""
    drills: tuple[str, ...] = ()
    undrilled: str = ""
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """The worst of it: "unknown", "failure", "warning" or "ok"."""
        if self.problem:
            return UNKNOWN
        levels = {finding.level for finding in self.findings}
        return FAILURE if FAILURE in levels else WARNING if levels else OK

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it; docs/verify.md describes the members."""
        return {**asdict(self), "verdict": self.verdict}


@dataclass
class Request:
    """What verify may do beside looking. billed: one request a cloud lane. drill_seconds: block local servers so long.

    quick: ask no model.
    """

    billed: bool = False
    quick: bool = False
    drill_seconds: int = 0


@dataclass
class _Wanted:
    request: Request = field(default_factory=Request)


_wanted = _Wanted()


@contextmanager
def asking(request: Request) -> Iterator[None]:
    """Have runs of verify.py in this process ask so."""
    before, _wanted.request = _wanted.request, request
    try:
        yield
    finally:
        _wanted.request = before


class _Told(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True)


_Words = Annotated[str, Field(max_length=20_000), AfterValidator(lambda words: shown(words, lines=True))]


class _Check(_Told):
    title: _Words
    problem: _Words


class _Found(_Told):
    symptom: _Words
    level: Literal["failure", "warning"]
    what: _Words
    seen: _Words
    cause: _Words
    cure: _Words


class _Drill(_Told):
    model: _Words
    answered_by: _Words
    problem: _Words


class Answer(_Told):
    """What the checks print. epoch: the host's clock, seconds."""

    epoch: Annotated[float, Field(ge=0, le=1e11)]
    checks: list[_Check]
    findings: list[_Found]
    drills: list[_Drill] = []
    undrilled: _Words = ""


class Health(FactBase[Answer | None]):
    """What the checks see on a host. The program travels with the question and leaves nothing there."""

    always_answers = True
    patience = LIMIT + 30

    def command(self, request: str) -> Script:
        """Return the command; `request` is JSON."""
        return sh("printf '%s\\n' {} {} | timeout {} python3 -I -c {}", _program(), request, LIMIT, BOOT)

    def process(self, output: list[str]) -> Answer:
        """Read the JSON, which is the last line: a shell may have greeted before. Raises FactProcessError."""
        try:
            answer = Answer.model_validate(json_of(output[-1], max_bytes=_ANSWER_BYTES))
        except ValueError:
            raise FactProcessError("the checks did not answer with what they print") from None
        unknown = {each.symptom for each in answer.findings} - set(symptoms.known())
        if unknown:
            raise FactProcessError(f"the checks tell a symptom that is not known: {min(unknown)[:40]!r}")
        return answer


@cache
def _program() -> str:
    files = {**programs("doctor"), **programs("shared")}
    # What only --explain knows stays here: the host takes so much in one argument.
    rows = {ident: row for ident, row in symptoms.rows().items() if row.get("check") or ident in OF_A_REFUSAL}
    return packed({**files, "doctor/symptoms.json": json.dumps(rows)})


def verify_host(expected: dict[str, Any], clock_seconds: int, privileges: dict[str, Any]) -> Report:
    """Look at the current host, keep its report, tell what is not well, and fail the host where something fails.

    + expected: signalbox.desired.health.expected of the host. clock_seconds: how far its clock may be off from ours.
    """
    request = {"expected": expected, **asdict(_wanted.request)}
    started, before = time.monotonic(), time.time()
    answer = current.get_fact(Health, request=json.dumps(request), **privileges)
    report = _report(current.name, answer, time.monotonic() - started)
    skew = max(before - answer.epoch, answer.epoch - time.time(), 0) if answer else 0
    if skew > clock_seconds:
        report = _with(report, "clock", f"the clock is {skew:.0f} s off from this machine's")
    current.connector_data[_KEPT] = report
    for finding in report.findings:
        if finding.level == WARNING:
            warn(symptoms.words(finding.symptom, finding.seen))
    failures = [finding for finding in report.findings if finding.level == FAILURE]
    fail([symptoms.words(finding.symptom, finding.seen) for finding in failures])
    if report.problem:
        fail([f"it could not be looked at: {report.problem}"])
    elif report.verdict != FAILURE:
        current.log_styled(f"{len(report.checks)} checks, {report.seconds:.1f} s", log_func=logger.info)
    return report


def _report(name: str, answer: Answer | None, seconds: float) -> Report:
    if not answer:
        return Report(name, problem="the checks did not answer", seconds=seconds)
    findings = [Finding(**each.model_dump()) for each in answer.findings]
    findings += [_finding("failover", f"{each.model}: {each.problem}") for each in answer.drills if each.problem]
    return Report(
        name,
        tuple(check.title for check in answer.checks),
        tuple(findings),
        "; ".join(f"{check.title}: {check.problem}" for check in answer.checks if check.problem),
        tuple(f"{each.model} was answered by {each.answered_by}" for each in answer.drills if not each.problem),
        answer.undrilled,
        round(seconds, 2),
    )


def _with(report: Report, ident: str, seen: str) -> Report:
    return replace(report, findings=(*report.findings, _finding(ident, seen)))


def _finding(ident: str, seen: str) -> Finding:
    row = symptoms.known()[ident]
    return Finding(ident, row.level, row.symptom, seen, row.cause, row.cure)


def verify(inventory: str, selectors: list[str], request: Request | None = None) -> list[Report]:
    """Verify the hosts of an inventory in this process.

    + selectors: pyinfra's own, such as ["--limit", "box1"].

    Every selected host has a report; one that was not reached has its `problem`.
    """
    with asking(request or Request()):
        return reports(drive(inventory, "verify.py", ["--dry", *selectors]))


def reports(outcome: Outcome) -> list[Report]:
    """Return what a run of verify.py came to. Raises RuntimeError where it ended before it reached any host."""
    state = outcome.state
    hosts = [host for host in state.inventory if state.is_host_in_limit(host)] if state else []
    kept = {host.name: host.connector_data.get(_KEPT) for host in hosts}
    # pyinfra ends a run with an error, too, when every host of it has failed.
    if outcome.error and not any(kept.values()) and not any(map(outcome.errors.get, kept)):
        raise RuntimeError(outcome.error)
    found = []
    for name, report in kept.items():
        words = "; ".join(outcome.errors.get(name, ())) or outcome.error or "it was not reached"
        found.append(report if isinstance(report, Report) else Report(name, problem=words[:400]))
    return found

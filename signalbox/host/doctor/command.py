"""The command claude-doctor."""

from __future__ import annotations

import argparse
import json
import os
import pwd
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..shared import output
from ..shared.output import say, tell, tell_json
from . import changes
from .check import Finding, Outcome
from .fixes import CannotFixError, fixable, who
from .host_context import EXPECTED, ROOT, Here
from .privileges import People, roles_of
from .symptoms import FAILURE, Symptom, explain, symptoms

MESSAGE = 1 << 20  # characters of an error message to explain
OK, FAILED, WARNED, USAGE = 0, 1, 2, 64


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    output.program = "claude-doctor"
    options = _options(arguments)
    if options.explain is not None:
        return _explain(options.explain, options.json)
    try:
        expected = json.loads(EXPECTED.read_text())
    except (OSError, ValueError) as error:
        say(f"{EXPECTED} cannot be read ({error}); run the deploy again")
        return FAILED
    me = pwd.getpwuid(os.geteuid()).pw_name
    roles = roles_of(me, expected)
    if not roles:
        say(f"you are {me}; run it as {expected['user']} or as root")
        return USAGE
    asked_from = None if os.geteuid() == 0 or options.changes else dict(os.environ)
    here = Here(expected, roles, options.billed, options.changes, asked_from)
    people = People(here)
    began = time.time()
    outcomes, findings = people.findings()
    if options.changes:
        told = changes.report(outcomes, findings, expected["report"])
        if changes.called(expected, began):
            told = changes.report(*people.findings(), expected["report"])
        return told
    done: list[tuple[Finding, str]] = []
    if options.fix:
        done = _fix(people, findings)
        if done:
            outcomes, findings = people.findings()
    if options.json:
        tell_json(document(outcomes, findings, done))
    else:
        _tell(outcomes, findings, done, me, expected["gateway"]["user"])
    return status(outcomes, findings)


def status(outcomes: Sequence[Outcome], findings: Sequence[Finding]) -> int:
    """Return the exit status: 0 well, 1 something fails or could not be looked at, 2 warnings alone."""
    levels = {symptoms()[finding.symptom].level for finding in findings}
    if FAILURE in levels or any(each.problem for each in outcomes):
        return FAILED
    return WARNED if levels else OK


def document(
    outcomes: Sequence[Outcome], findings: Sequence[Finding], done: Sequence[tuple[Finding, str]] = ()
) -> dict[str, Any]:
    """Return all of it as JSON has it."""
    return {
        "checks": [_check(each) for each in outcomes],
        "findings": [row(finding) for finding in findings],
        "fixed": [{"symptom": finding.symptom, "done": words} for finding, words in done],
    }


def row(finding: Finding) -> dict[str, Any]:
    """Return a finding with its symptom's words."""
    symptom = symptoms()[finding.symptom]
    return {
        "symptom": finding.symptom,
        "level": symptom.level,
        "what": symptom.symptom,
        "seen": finding.seen,
        "cause": symptom.cause,
        "cure": symptom.cure,
        "check": finding.check,
        "fixable": fixable(finding),
    }


def _check(each: Outcome) -> dict[str, Any]:
    return {
        "check": each.check,
        "as": each.role,
        "title": each.title,
        "problem": each.problem,
        "seconds": each.seconds,
    }


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="claude-doctor",
        description="Tell what does not work on this host, why, and what to do. As root it sees more.",
        epilog="Exit status: 0 all is well, 1 something fails, 2 warnings alone.",
    )
    parser.add_argument("--json", action="store_true", help="the result as JSON")
    parser.add_argument("--fix", action="store_true", help="carry out the safe cures; what they replace is kept")
    parser.add_argument("--billed", action="store_true", help="also send one short request to each cloud lane")
    parser.add_argument("--explain", metavar="MESSAGE", help="what an error message means, and what to do")
    parser.add_argument("--changes", action="store_true", help=argparse.SUPPRESS)  # the timer's
    return parser.parse_args(list(arguments))


def _fix(people: People, findings: Sequence[Finding]) -> list[tuple[Finding, str]]:
    done = []
    for finding in findings:
        if fixable(finding):
            try:
                done.append((finding, people.fix(finding)))
            except CannotFixError as error:
                say(f"{finding.seen}: {error}")
    return done


def cure_for(cure: str, me: str, keeper: str) -> str:
    """Return a cure as the user `me` can follow it; keeper: the gateway's user, "" where that is not known."""
    if cure.startswith("As the gateway's user, ") and not keeper:
        return cure
    if cure.startswith("As the gateway's user, ") and me == "root":
        cure = cure.partition(", ")[2].replace("systemctl --user ", f"systemctl --user --machine={keeper}@ ")
        return re.sub(r"journalctl --user -u (\w+)", r"journalctl _SYSTEMD_USER_UNIT=\1.service", cure)
    if cure.startswith("As the gateway's user, ") and me != keeper:
        return f"Ask the host's owner to do as {keeper}: {cure.partition(', ')[2]}"
    return cure if me == "root" else cure.replace("As root, ", "Ask the host's owner to do as root: ")


def _tell(
    outcomes: Sequence[Outcome],
    findings: Sequence[Finding],
    done: Sequence[tuple[Finding, str]],
    me: str,
    keeper: str,
) -> None:
    for _, words in done:
        tell(f"fixed: {words}")
    for finding in findings:
        symptom = symptoms()[finding.symptom]
        tell(f"{symptom.level}: {symptom.symptom}  [{symptom.id}]")
        tell(f"  seen:  {finding.seen}")
        tell(f"  cause: {symptom.cause}")
        tell(f"  cure:  {cure_for(symptom.cure, me, keeper)}")
        if fixable(finding):
            tell(f"  claude-doctor --fix does it{', as root' if who(finding) == ROOT and me != ROOT else ''}")
    for each in outcomes:
        if each.problem:
            tell(f"failure: this could not be looked at: {each.title} ({each.problem})")
    if not findings and not any(each.problem for each in outcomes):
        tell(f"all is well ({len(outcomes)} checks)")


def _explain(message: str, as_json: bool) -> int:
    text = sys.stdin.read(MESSAGE) if message == "-" else message
    found = explain(text)
    if as_json:
        tell_json([asdict(symptom) for symptom in found])
    elif found:
        for symptom in found[:3]:
            _tell_symptom(symptom)
    else:
        say("no symptom has these words; try a shorter piece of the message")
    return OK if found else FAILED


def _tell_symptom(symptom: Symptom) -> None:
    tell(f"{symptom.symptom}  [{symptom.id}]")
    tell(f"  cause: {symptom.cause}")
    tell(f"  cure:  {cure_for(symptom.cure, pwd.getpwuid(os.geteuid()).pw_name, _keeper())}")
    if symptom.check:
        tell(f"  claude-doctor looks at: {symptom.check}")


def _keeper() -> str:
    """Return the gateway's user on this host; "" where that is not known."""
    try:
        return str(json.loads(EXPECTED.read_text())["gateway"]["user"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""

"""`signalbox verify`: do the hosts work, and if not, why."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from xml.etree import ElementTree

import click
from rich.text import Text

from signalbox.commands.options import FILE, fleet_options
from signalbox.console import (
    DRIFT,
    FAILED,
    OK,
    Failure,
    json_option,
    note,
    print_json,
    print_table,
    stderr,
    stdout,
    verbose_option,
    working,
)
from signalbox.fleet import verify as engine
from signalbox.fleet.verify import Report, Request
from signalbox.host.doctor.symptoms import FAILURE, WARNING
from signalbox.host.shared.output import shown


@click.command()
@fleet_options
@click.option("--billed", is_flag=True, help="Also send one short request to each cloud lane, which the account pays.")
@click.option(
    "--drill",
    "drill_seconds",
    type=click.IntRange(5, 300),
    is_flag=False,
    flag_value=20,
    default=None,
    metavar="[SECONDS]",
    help="Also cut hosts off from their local model servers for at most so long (20), and see lanes fail over. Billed.",
)
@click.option("--quick", is_flag=True, help="Send nothing to a model.")
@click.option("--junit", "junit_file", type=FILE, metavar="FILE", help="Write JUnit XML for a CI service to FILE, too.")
@json_option
@verbose_option
def verify(
    inventory: str,
    selectors: list[str],
    billed: bool,
    drill_seconds: int | None,
    quick: bool,
    junit_file: Path | None,
    as_json: bool,
    verbose: int,
) -> None:
    """Tell whether the project's hosts work, and change nothing on them.

    All hosts are asked side by side; local models are sent one short request.

    \b
    Exit status: 0  all is well
                 2  there are warnings
                 1  something fails, or a host could not be looked at
    """
    request = Request(billed, quick, drill_seconds or 0)
    try:
        with working("looking at hosts") if stderr().is_terminal else nullcontext():
            reports = engine.verify(inventory, selectors, request)
    except RuntimeError as error:
        raise Failure(str(error)) from None
    except KeyboardInterrupt:
        note("interrupted: nothing is known of the hosts")
        sys.exit(FAILED)
    if junit_file:
        junit_file.write_text(junit(reports))
    if as_json:
        print_json({"version": 1, "hosts": [report.to_json() for report in reports]})
    else:
        _tell(reports, verbose)
    sys.exit(status(reports))


def status(reports: Sequence[Report]) -> int:
    """Return the exit status: 0 well, 2 warnings, 1 failures, or no host at all."""
    verdicts = {report.verdict for report in reports}
    if not reports or verdicts & {FAILURE, engine.UNKNOWN}:
        return FAILED
    return DRIFT if WARNING in verdicts else OK


def junit(reports: Sequence[Report]) -> str:
    """Return JUnit XML: a suite a host, a case a check that ran, and one a finding; warnings are told as output."""
    root = ElementTree.Element("testsuites", name="signalbox verify")
    for report in reports:
        failures = [finding for finding in report.findings if finding.level == FAILURE]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=report.host,
            tests=str(len(report.checks) + len(report.findings) + bool(report.problem)),
            failures=str(len(failures)),
            errors=str(int(bool(report.problem))),
            time=f"{report.seconds:.2f}",
        )
        for title in report.checks:
            ElementTree.SubElement(suite, "testcase", classname=report.host, name=title)
        for finding in report.findings:
            case = ElementTree.SubElement(suite, "testcase", classname=report.host, name=finding.symptom)
            kind = "failure" if finding.level == FAILURE else "system-out"
            told = ElementTree.SubElement(case, kind)
            told.text = f"{finding.what}: {shown(finding.seen)}\n{finding.cure}"
            if finding.level == FAILURE:
                told.set("message", shown(finding.seen))
        if report.problem:
            case = ElementTree.SubElement(suite, "testcase", classname=report.host, name="the host is looked at")
            ElementTree.SubElement(case, "error", message=shown(report.problem))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _tell(reports: Sequence[Report], verbose: int) -> None:
    rows = []
    for report in reports:
        if report.problem:
            rows.append((report.host, "unknown", "it could not be looked at", report.problem))
        rows += [(report.host, each.level, f"{each.what} [{each.symptom}]", each.seen) for each in report.findings]
        rows += [(report.host, "ok", "a lane fails over", words) for words in report.drills]
        if report.undrilled:
            rows.append((report.host, "", "no drill was made", report.undrilled))
        if verbose or not (report.problem or report.findings or report.drills):
            rows.append((report.host, report.verdict, f"{len(report.checks)} checks", f"{report.seconds:.1f} s"))
        if verbose > 1:
            rows += [(report.host, "", title, "") for title in report.checks]
    print_table(["host", "verdict", "what", "seen"], rows)
    cures = {finding.symptom: finding.cure for report in reports for finding in report.findings}
    for symptom, cure in cures.items():
        stdout().print(Text(f"{symptom}: {cure}"), soft_wrap=True)

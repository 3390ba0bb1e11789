"""A plan for people, and for CI servers as JUnit XML."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from xml.etree import ElementTree

from rich.text import Text

from signalbox.fleet.plan.report import Change, HostReport, Report
from signalbox.host.shared.output import shown

_STYLES = {"clean": "green", "drift": "yellow", "unknown": "red"}
_CERTAINTY = {"will": "will change", "may": "may change", "unknown": "cannot tell"}


def lines(report: Report, *, everything: bool) -> Iterator[Text]:
    """Yield the plan by host and task; hosts that are clean and at rest only with `everything`."""
    for problem in report.problems:
        yield Text.assemble(("unknown", "red"), f": {_inside(problem)}")
    for host in report.hosts:
        if host.verdict != "clean" or host.warnings or everything:
            yield from _of_host(host)


def summary(report: Report) -> str:
    """Return one line: how many hosts are clean, have drifted, are unknown."""
    counts = {word: sum(host.verdict == word for host in report.hosts) for word in ("clean", "drift", "unknown")}
    hosts = "1 host" if len(report.hosts) == 1 else f"{len(report.hosts)} hosts"
    return f"{hosts}: {', '.join(f'{count} {word}' for word, count in counts.items())}"


def _of_host(host: HostReport) -> Iterator[Text]:
    yield Text.assemble((host.host, "bold"), ": ", (host.verdict, _STYLES[host.verdict]))
    for problem in host.problems:
        yield Text(f"  {_inside(problem)}", style="red")
    for warning in host.warnings:
        yield Text(f"  warning: {_inside(warning)}", style="yellow")
    for remark in host.remarks:
        yield Text(f"  remark: {_inside(remark)}", style="dim")
    for task, changes in groupby(host.changes, key=lambda change: change.task):
        yield Text(f"  {shown(task)}" if task else "  (no task)")
        for change in changes:
            yield from _of_change(change)


def _of_change(change: Change) -> Iterator[Text]:
    because = f" because of {shown(', '.join(change.because))}" if change.because else ""
    yield Text.assemble("    ", (_CERTAINTY[change.certainty], "yellow"), because, f": {shown(change.operation)}")
    for difference in change.differences:
        yield Text(f"      {shown(difference)}", style="dim")


def _inside(text: str) -> str:
    """Return a text whose further lines are set in, so that none looks like the plan's own."""
    return shown(text, lines=True).replace("\n", "\n        ")


def junit(report: Report) -> str:
    """Return JUnit XML: a suite a host, a case an operation; drift is a failure, unknown an error."""
    root = ElementTree.Element("testsuites", name="signalbox plan")
    if report.problems:
        suite = ElementTree.SubElement(root, "testsuite", name="run", tests="1", errors="1", failures="0")
        _case(suite, "run", "every host is examined", "error", "\n".join(report.problems))
    for host in report.hosts:
        unknown = [change for change in host.changes if change.certainty == "unknown"]
        failures = len(host.changes) - len(unknown)
        reached = 1  # a case of its own: the host was examined to the end
        tests = str(len(host.at_rest) + len(host.changes) + reached)
        errors = str(len(unknown) + bool(host.problems))
        suite = ElementTree.SubElement(
            root, "testsuite", name=host.host, tests=tests, errors=errors, failures=str(failures)
        )
        _case(suite, "host", "is examined to the end", "error" if host.problems else "", "\n".join(host.problems))
        for change in host.changes:
            kind = "error" if change.certainty == "unknown" else "failure"
            words = "\n".join([_CERTAINTY[change.certainty], *change.because, *change.differences])
            _case(suite, change.task, change.operation, kind, words)
        for task, operation in host.at_rest:
            _case(suite, task, operation, "", "")
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, task: str, name: str, kind: str, words: str) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=shown(task) or "deploy", name=shown(name))
    if kind:
        first = words.split("\n", 1)[0]
        ElementTree.SubElement(case, kind, message=shown(first)).text = shown(words, lines=True)

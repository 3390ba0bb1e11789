"""`signalbox init`: from a Debian host and a model server to a project that can be deployed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from signalbox.console import DRIFT, OK, Failure, agreed, json_option, note, print_json, stderr, stdout, working
from signalbox.init import files, pinning, project
from signalbox.init.answers import AnswersError, Kept, read
from signalbox.init.interview import Interview, somebody_there
from signalbox.init.questions import QUESTIONS
from signalbox.init.wishes import Wishes, group_settings, host_settings
from signalbox.pins import PinError
from signalbox.secrets import SecretError
from signalbox.settings import SettingsError

_STATE = Path(".signalbox/init.json")


def _answer_options(command: Callable[..., Any]) -> Any:
    """One option a question that is no secret; secrets are never in a command line."""
    for question in reversed(QUESTIONS):
        if question.secret is None:
            words = question.words if isinstance(question.words, str) else _LATER[question.id]
            command = click.option(f"--{question.id.replace('_', '-')}", question.id, metavar="ANSWER", help=words)(
                command
            )
    return command


_LATER = {
    "fingerprint": "The host's fingerprint (SHA256:…), or yes: whatever it shows now.",
    "check_cloud": "Ask the cloud whether the key works: y or n.",
}


@click.command()
@click.option(
    "--answers",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Answers as YAML: host: 192.168.1.10, a question a line; no secrets.",
)
@click.option("--afresh", is_flag=True, help="Forget what an interrupted run had been answered.")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing: defaults where there is no answer, and write.")
@click.option("--deploy/--no-deploy", default=None, help="Deploy afterwards, or not, without a question.")
@json_option
@_answer_options
def init(
    answers: Path | None, afresh: bool, yes: bool, deploy: bool | None, as_json: bool, **options: str | None
) -> None:
    """Ask what a host needs, check each answer at once, write the project's files, and show the plan.

    Run it in your clone of Signalbox. It writes inventory.py, group_data/claude_hosts.py, the pins in group_data/all.py
    and the encrypted secrets/all.yml; nothing before the last question. What was there is shown as a diff and kept
    beside it. `?` at a question tells more. Ctrl-C: the next run goes on there.

    Every question is an option here, too, or a line of an answers file. Secrets are taken from the environment by their
    names (ANTHROPIC_DIRECT_KEY), or asked for.

    \b
    Exit status: 0  written, and the plan is clean, or deployed
                 2  written, and a deploy has something to do
                 1  nothing was written, or the plan could not be made
    """
    root = Path.cwd()
    if not (root / "deploy.py").is_file() or not (root / files.ALL).is_file():
        raise Failure(
            "this is no clone of Signalbox (no deploy.py, no group_data/all.py); change to it and run this there"
        )
    kept = Kept(root / _STATE)
    if afresh:
        kept.clear()
    try:
        given = read(answers, QUESTIONS) if answers else {}
        for path in (files.INVENTORY, files.GROUP_DATA):
            files.literals(root / path)  # before somebody answers for nothing
    except (AnswersError, files.FileError) as error:
        raise Failure(str(error)) from None
    given |= {name: value for name, value in options.items() if value is not None}
    interview = Interview(QUESTIONS, given, kept, asks=not yes and not as_json and somebody_there())
    try:
        known = interview.run()
    except (click.Abort, KeyboardInterrupt):
        note("\nNothing was written. `signalbox init` goes on here; secrets will be asked for again.")
        raise SystemExit(1) from None
    wishes = project.wishes(known)
    try:
        changes, secrets = _prepared(root, wishes, known)
        _show(changes, secrets, as_json)
        if not (yes or as_json) and not agreed("Write this?"):
            raise Failure("nothing was written; `signalbox init` goes on here, with --afresh from the start")
        backups = files.write(changes)
        project.store(wishes, secrets)
    except (files.FileError, PinError, SecretError, SettingsError) as error:
        raise Failure(str(error)) from None
    kept.clear()
    for backup in backups:
        note(f"What was there is in {backup.relative_to(root)}")
    _afterwards(wishes, interview.asked, deploy, as_json, [str(each.path.relative_to(root)) for each in changes])


def _prepared(root: Path, wishes: Wishes, known: Any) -> tuple[list[files.Change], dict[str, Any]]:
    group = group_settings(wishes)
    changes = files.planned(root, {wishes.address: host_settings(wishes)}, group)
    part = project.merged_sections(root, wishes)
    values: dict[tuple[str, ...], str | None] = {}
    for name, version, found in _resolving(part):
        values |= found
        note(f"{name} {version}: pinned from its mirror")
    if values:
        changes.append(pinning.change(root / files.ALL, values))
    project.validated(root, wishes, values)
    return changes, project.secrets_to_store(wishes, known)


def _resolving(part: Any) -> Any:
    with working("Resolving checksums of what is to be installed"):
        return list(pinning.resolved(part["pins"], part["mirrors"], part["extra_ca_certificates"]))


def _show(changes: list[files.Change], secrets: dict[str, Any], as_json: bool) -> None:
    console = stderr()
    for change in () if as_json else changes:
        for line in change.diff():
            style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
            console.print(Text(line, style=style), soft_wrap=True)
    if secrets:
        note(f"secrets/all.yml, encrypted: {', '.join(sorted(secrets))}")


def _afterwards(wishes: Wishes, asked: int, deploy: bool | None, as_json: bool, written: list[str]) -> None:
    """Show the plan, deploy if wanted, and tell what comes next."""
    status, plan = _plan()
    if as_json:
        print_json({"host": wishes.address, "questions": asked, "written": written, "plan": plan})
        raise SystemExit(status)
    for line in _told(plan):
        stdout().print(Text(line), soft_wrap=True)
    if status not in (OK, DRIFT):
        raise Failure("the files are written, but the plan could not be made; above is why. Then: signalbox plan")
    if deploy is None and status == DRIFT and somebody_there():
        deploy = click.confirm(f"Deploy to {wishes.address} now?", default=True, err=True)
    if deploy and status == DRIFT:
        status = subprocess.run([sys.executable, "-m", "pyinfra", str(files.INVENTORY), "deploy.py", "-y"]).returncode
        if status:
            raise Failure("the deploy failed; above is why. Then: pyinfra inventory.py deploy.py")
    _next(wishes, status == OK)
    raise SystemExit(status)


def _plan() -> tuple[int, dict[str, Any]]:
    """Return `signalbox plan`'s exit status and report; a process of its own reads the files as they are now."""
    words = [sys.executable, "-c", "from signalbox.cli import main; main()", "plan", "--json"]
    with working("Looking at what a deploy would do"):
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=None, check=False, text=True)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return 1, {}
    return done.returncode, report


def _told(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield the plan in short: how much each task would do, and what is to be known of a host."""
    yield from plan.get("problems", [])
    for host in plan.get("hosts", []):
        changes = Counter(change["task"] for change in host["changes"])
        yield f"{host['host']}: {host['verdict']}" + (", of a deploy:" if changes else "")
        yield from (f"  {task}: {count} {'change' if count == 1 else 'changes'}" for task, count in changes.items())
        yield from (f"  {key[:-1]}: {line}" for key in ("warnings", "errors", "problems") for line in host.get(key, []))
    if any(host["changes"] for host in plan.get("hosts", [])):
        yield "`signalbox plan` lists each, from what to what."


def _next(wishes: Wishes, deployed: bool) -> None:
    lane = project.first_lane(wishes)
    lines = [] if deployed else ["pyinfra inventory.py deploy.py            converge the host"]
    lines += [
        f"ssh claude@{wishes.address}                 then: {lane}",
        "signalbox verify                          does it work, and if not, why?",
        "signalbox plan                            has anything drifted?",
    ]
    stdout().print(Text("Next:\n" + "\n".join(f"  {line}" for line in lines)), soft_wrap=True)

"""What comes after the questions: the files are shown and written, then the plan, then the deploy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from signalbox.console import DRIFT, OK, Failure, agreed, note, print_json, stderr, stdout, working
from signalbox.init import files, pinning, project
from signalbox.init.answers import Kept
from signalbox.init.interview import somebody_there
from signalbox.init.wishes import Wishes, group_settings, host_settings
from signalbox.pins import PinError
from signalbox.secrets import Secret, SecretError
from signalbox.settings import SettingsError


def clone() -> Path:
    """Return the project's directory, which is this one.

    Raises:
        Failure: it is none, or its files could not be written later.
    """
    root = Path.cwd()
    if not (root / "deploy.py").is_file() or not (root / files.ALL).is_file():
        raise Failure("this is no clone of Signalbox (no deploy.py, no group_data/all.py); change to one first")
    try:
        for path in (files.INVENTORY, files.GROUP_DATA):
            files.literals(root / path)  # before somebody answers for nothing
    except files.FileError as error:
        raise Failure(str(error)) from None
    return root


def finish(
    root: Path,
    wishes: Wishes,
    secrets: Mapping[str, Secret],
    kept: Kept,
    *,
    asks: bool,
    asked: int,
    deploy: bool | None,
    as_json: bool,
) -> None:
    """Show what would be written, write it after a yes, show the plan, and deploy after another.

    Args:
        secrets: for the vault. asked: how many questions a person was asked. deploy: None: ask.

    Raises:
        Failure: nothing was written, or the plan or the deploy failed.
        SystemExit: with the exit status of `signalbox init`.
    """
    try:
        changes = _changes(root, wishes)
        _show(root, changes, secrets, quiet=as_json)
        if asks and not agreed("Write this?"):
            raise Failure("nothing was written; the next run goes on here, with --afresh from the start")
        backups = files.write(changes)
        project.store(wishes, secrets)
    except (files.FileError, PinError, SecretError, SettingsError) as error:
        raise Failure(str(error)) from None
    kept.clear()
    for backup in backups:
        note(f"What was there is in {backup.relative_to(root)}")
    _afterwards(wishes, asked, deploy, as_json, [str(each.path.relative_to(root)) for each in changes])


def _changes(root: Path, wishes: Wishes) -> list[files.Change]:
    changes = files.planned(root, {wishes.address: host_settings(wishes)}, group_settings(wishes))
    part = project.merged_sections(root, wishes)
    values: dict[tuple[str, ...], str | None] = {}
    if pinning.lacking(part["pins"]):
        with working("Resolving checksums of what is to be installed"):
            found = list(pinning.resolved(part["pins"], part["mirrors"], part["extra_ca_certificates"]))
        for name, version, pins in found:
            values |= pins
            note(f"{name} {version}: pinned from its mirror")
    if values:
        changes.append(pinning.change(root / files.ALL, values))
    project.validated(root, wishes, values)
    return changes


def _show(root: Path, changes: list[files.Change], secrets: Mapping[str, Secret], quiet: bool) -> None:
    console = stderr()
    for change in () if quiet else changes:
        for line in change.diff(root):
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
    note("Looking at what a deploy would do …")  # it has a spinner of its own
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

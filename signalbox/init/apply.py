"""What comes after the questions: the files are shown and written, then the plan, then the deploy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from signalbox.console import DRIFT, FAILED, OK, Failure, agreed, confirmed, note, print_json, stderr, stdout, working
from signalbox.init import files, missing_pins, pins_file, project, scaffold
from signalbox.init.answers import Kept
from signalbox.init.directory import Place
from signalbox.init.interview import complain, somebody_there
from signalbox.init.to_settings import Wishes
from signalbox.pins import PinError
from signalbox.secrets import Secret, SecretError
from signalbox.settings import SettingsError
from signalbox.vault.errors import WrongKeyError
from signalbox.vault.keys import KeySourceError, NoneGivenError


def apply(
    place: Place,
    wishes: Wishes,
    secrets: Mapping[str, Secret],
    kept: Kept,
    *,
    asks: bool,
    asked: int,
    group: str | None,
    deploy: bool | None,
    as_json: bool,
) -> None:
    """Show what would be written, write it after a yes, show the plan, and deploy after another.

    Args:
        secrets: for the vault. asked: how many questions a person was asked. group: the host's, if one was named.
        deploy: None: ask.

    Raises:
        Failure: nothing was written, or the plan or the deploy failed.
        SystemExit: with the exit status of `signalbox init`.
    """
    root = place.root
    try:
        wishes = replace(wishes, group=project.group_of(root, wishes.address, group))
        draft = project.drafted(root, wishes)
        changes, base = _changes(root, draft, wishes), scaffold.missing(root, place.origin)
        _show(root, changes, secrets, base, quiet=as_json)
        _others_agreed(draft, wishes, asks=asks)
        if asks and not agreed("Write this?"):
            raise Failure("nothing was written; the next run goes on here, with --afresh from the start")
        give_back = _stored(wishes, secrets, asks=asks)  # first: it may fail for want of a key
        try:
            backups = files.write([*base.changes, *changes])
            base.place_wheel(root)
        except BaseException:
            give_back()
            raise
    except (files.FileError, PinError, SecretError, SettingsError) as error:
        raise Failure(str(error)) from None
    except OSError as error:
        raise Failure(f"{error.filename}: cannot be written ({error.strerror})") from None
    kept.clear()
    if base.changes:
        scaffold.locked(root)
    for backup in backups:
        note(f"What was there is in {backup.relative_to(root)}")
    written = [str(each.path.relative_to(root)) for each in (*changes, *base.changes)]
    _afterwards(wishes, asked, deploy, as_json, written, root if root != place.start else None)


def _changes(root: Path, draft: project.Draft, wishes: Wishes) -> list[files.Change]:
    changes = files.changes(root, draft.wanted)
    part = project.sections_for_pins(draft, wishes)
    values: dict[tuple[str, ...], str | None] = {}
    if missing_pins.lacking(part["pins"]):
        with working("Resolving checksums of what is to be installed"):
            found = list(missing_pins.resolved(part["pins"], part["mirrors"], part["extra_ca_certificates"]))
        for name, version, pins in found:
            values |= pins
            note(f"{name} {version}: pinned from its mirror")
    whole = pins_file.with_values(part["pins"].model_dump(), values)
    project.validated(draft, wishes, whole)
    change = pins_file.changed(root / pins_file.PATH, whole, values)
    return [*changes, change] if change.old != change.new else changes


def _others_agreed(draft: project.Draft, wishes: Wishes, *, asks: bool) -> None:
    """See that nobody changes other hosts without knowing: the group's settings are theirs, too.

    Raises:
        Failure: they shall stay, or there is nobody to ask.
    """
    if not draft.others:
        return
    what = f"this changes {', '.join(draft.touched)} of {', '.join(draft.others)}, too, in the group {wishes.group}"
    other = "answer as for them, or give this host a group of its own: --group NAME"
    if not asks:
        raise Failure(f"{what}; nothing was written: {other}")
    note(f"\n{what[0].upper()}{what[1:]}.")
    if not confirmed("Change them, too?"):
        raise Failure(f"nothing was written; {other}. The next run goes on here, with --afresh from the start")


def _stored(wishes: Wishes, secrets: Mapping[str, Secret], *, asks: bool) -> Callable[[], None]:
    """Store the secrets; a passphrase that is wrong or weak is asked for again."""
    for tries_left in reversed(range(5)):
        try:
            return project.store(wishes, secrets)
        except NoneGivenError:
            raise
        except (KeySourceError, WrongKeyError) as error:
            if not (asks and wishes.vault_key == "prompt" and tries_left):
                raise
            complain(str(error))
    raise AssertionError  # the last try returns or raises


def _show(
    root: Path, changes: list[files.Change], secrets: Mapping[str, Secret], base: scaffold.Scaffold, quiet: bool
) -> None:
    console = stderr()
    for change in () if quiet else changes:
        for line in change.diff(root):
            style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
            console.print(Text(line, style=style), soft_wrap=True)
    if base.changes:
        names = ", ".join(str(change.path.relative_to(root)) for change in base.changes)
        note(f"new in {root}: {names}" + (f"; Signalbox: {base.origin.words}" if base.origin else ""))
    for line in base.told:
        note(line)
    if secrets:
        note(f"secrets/all.yml, encrypted: {', '.join(sorted(secrets))}")


def _afterwards(
    wishes: Wishes, asked: int, deploy: bool | None, as_json: bool, written: list[str], elsewhere: Path | None
) -> None:
    """Show the plan, deploy if wanted, and tell what comes next."""
    status, plan = _plan(wishes.address)
    failure = "" if status in (OK, DRIFT) else "the plan could not be made; above is why. Then: signalbox plan"
    if not as_json:
        for line in _told(plan):
            stdout().print(Text(line), soft_wrap=True)
        if deploy is None and status == DRIFT and somebody_there():
            with suppress(click.Abort):  # the files are written: what comes next is told all the same
                deploy = confirmed(f"Deploy to {wishes.address} now?", default=True)
    deployed = bool(deploy) and status == DRIFT
    if deployed and (status := _deployed(wishes.address)) != OK:
        failure = "the deploy failed; above is why. Then: signalbox deploy"
    if as_json:
        result = {"host": wishes.address, "questions": asked, "written": written, "plan": plan, "deployed": deployed}
        print_json(result)
    if failure:
        raise Failure(f"the files are written, but {failure}")
    if not as_json:
        _next(wishes, status == OK, elsewhere)
    raise SystemExit(status)


def _plan(host: str) -> tuple[int, dict[str, Any]]:
    """Return `signalbox plan`'s exit status and report; a process of its own reads the files as they are now."""
    words = [sys.executable, "-c", "from signalbox.commands.cli import main; main()", "plan", "--json", "--limit", host]
    note("Looking at what a deploy would do …")  # it has a spinner of its own
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=None, check=False, text=True)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return FAILED, {}
    return done.returncode, report


def _deployed(host: str) -> int:
    """Deploy to this host and no other; what pyinfra tells goes to stderr, as stdout holds results."""
    words = [sys.executable, "-m", "pyinfra", str(files.INVENTORY), "deploy.py", "-y", "--limit", host]
    return OK if subprocess.run(words, stdout=sys.stderr, check=False).returncode == 0 else FAILED


def _told(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield the plan in short: how much each task would do, and what is to be known of a host."""
    yield from plan.get("problems", [])
    for host in plan.get("hosts", []):
        changes = Counter(change["task"] for change in host["changes"])
        yield f"{host['host']}: {host['verdict']}" + (", of a deploy:" if changes else "")
        yield from (f"  {task}: {count} {'change' if count == 1 else 'changes'}" for task, count in changes.items())
        yield from (f"  {key[:-1]}: {line}" for key in ("warnings", "problems") for line in host.get(key, []))
    if any(host["changes"] for host in plan.get("hosts", [])):
        yield "`signalbox plan` lists each, from what to what."


def _next(wishes: Wishes, deployed: bool, elsewhere: Path | None) -> None:
    login = f"ssh {f'-p {wishes.port} ' if wishes.port != 22 else ''}{wishes.name}@{wishes.address}"
    steps = {f"cd {elsewhere}": "your project"} if elsewhere else {}
    steps |= {} if deployed else {"signalbox deploy": "converge the host"}
    steps |= {
        login: f"then: {project.first_lane(wishes)}",
        "signalbox verify": "does it work, and if not, why?",
        "signalbox plan": "has anything drifted?",
    }
    width = max(map(len, steps))
    lines = [f"  {command.ljust(width)}  {words}" for command, words in steps.items()]
    stdout().print(Text("\n".join(["Next:", *lines])), soft_wrap=True)

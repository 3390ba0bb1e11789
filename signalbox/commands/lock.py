"""`signalbox lock`: who deploys at this moment, and the end of a lock whose owner is gone."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from signalbox.commands import deploys
from signalbox.commands.options import fleet_options
from signalbox.console import FAILED, OK, Failure, confirmed, json_option, note, print_json, print_table
from signalbox.engine.driver import Outcome, drive
from signalbox.engine.lock import Owner

_DEPLOY = str(Path(deploys.__file__).with_name("lock.py"))


@click.command()
@fleet_options
@click.option("--break", "broken", is_flag=True, help="End these locks; a deploy that still has one stops by itself.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before breaking.")
@json_option
def lock(inventory: str, selectors: list[str], broken: bool, yes: bool, as_json: bool) -> None:
    """Show who holds the deploy lock of the project's hosts, and --break locks.

    A lock ends with the run that holds it, also when that run is killed, and expires when its controller is gone
    from the network. Exit status 1: a host could not be asked.
    """
    outcome = drive(inventory, _DEPLOY, ["--dry", *selectors])
    owners = _owners(outcome)
    if as_json:
        print_json([{"host": host, "owner": asdict(owner) if owner else None} for host, owner in owners.items()])
    else:
        held = [(host, owner) for host, owner in owners.items() if owner]
        rows = [(host, owner.who, owner.since, owner.expires, owner.reason) for host, owner in held]
        print_table(["host", "owner", "since", "expires", "reason"], rows)
    runs = sorted({owner.run for owner in owners.values() if owner})
    if broken and runs:
        if not yes and not confirmed("End these locks?"):
            sys.exit(FAILED)
        arguments = ["-y", "--data", f"_break={json.dumps(runs)}", "--data", "lock.enabled=false", *selectors]
        breaking = drive(inventory, _DEPLOY, arguments)
        _all_answered(breaking)
        note("the locks are free")
    _all_answered(outcome)
    sys.exit(OK)


def _owners(outcome: Outcome) -> dict[str, Owner | None]:
    """Return who has the lock of each host that told."""
    if outcome.state is None:
        _all_answered(outcome)
    state = outcome.state
    hosts = sorted(state.active_hosts, key=str) if state else ()
    return {host.name: host.connector_data.get("signalbox_lock") for host in hosts}


def _all_answered(outcome: Outcome) -> None:
    problems = [f"{host}: {text}" if host else text for host, texts in outcome.errors.items() for text in texts]
    if outcome.state is None or outcome.error or outcome.state.failed_hosts:
        raise Failure("\n  ".join([outcome.error or "not every host answered", *problems]))

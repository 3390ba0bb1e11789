"""`make demo`: the main job, run end to end on a real Debian host of this machine.

Brings up one lab host with simulated models beside it, deploys to it, checks it from outside, and says how
to log in. Run again, it goes on where things are: a deploy that has nothing to do is quick.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import requests
from rich.console import Console
from rich.table import Table

from signalbox.host.shared.context import ROOMY
from tests.drills.deployment import Site
from tests.lab import access, hosts, services
from tests.lab.instance import Lab
from tests.lab.inventory import write_inventory
from tests.lab.machine import LabError

ROOT = Path(__file__).resolve().parent.parent
HOST = "demo"
LOG = ROOT / ".signalbox" / "demo.log"
progress = Console(stderr=True)


class FailedError(Exception):
    """The demo cannot go on; the message says why."""


def settings() -> dict[str, Any]:
    """Have the simulated LM Studio load its model as people are told to; return the settings that go with it."""
    told = services.lab_settings()
    server = told["backends"]["lmstudio"]
    local = server["models"]["local"]
    load = {"model": local["id"], "context_length": ROOMY}
    requests.post(f"{server['url']}/api/v1/models/load", json=load, timeout=10).raise_for_status()
    local["context_length"] = ROOMY
    return told


def deploy(site: Site) -> str:
    """Converge the host; return how many operations changed something."""
    run = site.deploy()
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_text(run.stderr)
    if run.status:
        tail = "\n".join(run.stderr.strip().splitlines()[-12:])
        raise FailedError(f"the deploy failed; {LOG} has all of it, it ends with:\n{tail}")
    return f"{len(run.changed(HOST))} of {run.count(HOST)} operations changed something"


def no_change(site: Site) -> str:
    """See that a plan of the converged host names no change."""
    run = site.plan().ok()
    if pending := run.planned(HOST):
        raise FailedError(f"the plan names changes: {', '.join(pending)}")
    return f"none of {len(run.answer['plan'])} operations would change anything"


def as_claude(command: str) -> Callable[[], str]:
    """Return a check that runs `command` over ssh as claude and gives the last line that it prints."""

    def check() -> str:
        done = hosts.run(HOST, command, user="claude", check=False, timeout=180)
        if done.returncode:
            raise FailedError(f"exit status {done.returncode}: {(done.stderr or done.stdout).strip()[-400:]}")
        return str(done.stdout.strip().splitlines()[-1])

    return check


def run_checks(site: Site) -> tuple[Table, bool]:
    """Run every check; return the table of what was seen, and whether all passed."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("a second look finds no drift", lambda: no_change(site)),
        ("rootless Docker answers", as_claude("docker version --format 'server {{.Server.Version}}'")),
        ("the gateway answers", as_claude("curl -fsS http://127.0.0.1:4000/health/liveliness")),
        ("Claude Code is the pinned one", as_claude("claude --version")),
        ("claude-routed is answered by the cloud", as_claude("claude-routed -p 'say hello'")),
        ("claude-local is answered by LM Studio", as_claude("claude-local -p 'say hello'")),
        (
            "a tool call goes round",
            as_claude("claude-local --allowedTools Bash -p 'use the Bash tool to run `echo signalbox-$((6*7))`'"),
        ),
    ]
    table = Table("check", "", "what was seen", box=None)
    well = True
    for words, check in checks:
        with progress.status(words):
            try:
                table.add_row(words, "[green]ok[/]", check())
            except (FailedError, LabError, AssertionError, subprocess.SubprocessError, OSError) as error:
                well = False
                table.add_row(words, "[red]failed[/]", str(error))
    return table, well


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Converge a real Debian 13 host on this machine and show that it works. Needs root."""
    begun = time.monotonic()
    try:
        hosts.up([HOST])
        site = Site((HOST,), settings())
        with progress.status("converging the host (a few minutes the first time)"):
            began = time.monotonic()
            outcome = deploy(site)
        progress.print(f"converged in {time.monotonic() - began:.0f} s: {outcome}")
        table, well = run_checks(site)
    except (FailedError, LabError) as error:
        raise click.ClickException(str(error)) from error
    Console().print(table)
    login = " ".join(access.ssh(Lab.current(), HOST, "claude", "-t"))
    click.echo(f"\nAfter {time.monotonic() - begun:.0f} s there is a host to try. Log in:\n  {login}")
    click.echo(
        "There:\n  claude-routed        the cloud in front, the local model behind\n  claude-local         all local"
    )
    secrets = 'eval "$(.venv/bin/python -m tests.lab env)"'
    inventory = write_inventory([HOST], site.settings)
    click.echo(f"Deploy again, or see what drifted:\n  {secrets}\n  .venv/bin/pyinfra {inventory} deploy.py --dry")
    click.echo("Take it all away:\n  make clean")
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main(prog_name="make demo")

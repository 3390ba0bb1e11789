"""What a run that changes nothing costs, with and without reading ahead, against what it cannot go below.

python bench/no_change.py INVENTORY HOST deploy.py     the host is converged; secrets are in the environment
"""

from __future__ import annotations

import os
import re
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from signalbox.readahead.record import Record

# Runs pyinfra in a process that counts the sessions that it opens on its connections: one for each remote command.
COUNTING = """
import sys
from pyinfra_cli import cli
import paramiko
opened, original = [0], paramiko.Transport.open_session
def counted(self, *arguments, **more):
    opened[0] += 1
    return original(self, *arguments, **more)
paramiko.Transport.open_session = counted
try:
    cli.cli(sys.argv[1:])
finally:
    print("sessions:", opened[0])
"""


def seconds(command: Sequence[str], stdin: str = "", **environment: str) -> float:
    """Run a command that must end well, and return its wall clock time."""
    started = time.perf_counter()
    environ = {**os.environ, **environment}
    subprocess.run(command, input=stdin, env=environ, check=True, capture_output=True, text=True, timeout=300)
    return time.perf_counter() - started


def sessions(arguments: Sequence[str], **environment: str) -> int:
    """Count the sessions that a run of pyinfra opens."""
    command = [sys.executable, "-c", COUNTING, *arguments]
    environ = {**os.environ, **environment}
    done = subprocess.run(command, env=environ, check=True, capture_output=True, text=True, timeout=300)
    return int(re.findall(r"^sessions: (\d+)$", done.stdout, re.M)[-1])


def ssh(inventory: str, host: str) -> list[str]:
    """Return the ssh command that reaches the host as pyinfra does."""
    debug = subprocess.run(
        [sys.executable, "-c", f"exec(open({inventory!r}).read()); print(dict(lab[0])[{host!r}])"],
        capture_output=True,
        text=True,
        check=True,
    )
    data: dict[str, str] = eval(debug.stdout)  # noqa: S307  # the inventory is code as well
    known = f"UserKnownHostsFile={data['ssh_known_hosts_file']}"
    return ["ssh", "-q", "-i", data["ssh_key"], "-o", known, f"{data['ssh_user']}@{data['ssh_hostname']}"]


@click.command()
@click.argument("inventory")
@click.argument("host")
@click.argument("deploy", default="deploy.py")
@click.option("--rounds", default=7, show_default=True, help="Each thing is measured once a round; medians count.")
def main(inventory: str, host: str, deploy: str, rounds: int) -> None:
    """Measure, and print a table of medians and their ratio to pyinfra's start-up and one bare ssh."""
    pyinfra = [sys.executable, "-m", "pyinfra"]
    run = [inventory, deploy, "--limit", host, "--dry", "--json"]
    without, ahead = {"SIGNALBOX_READ_AHEAD": "0"}, {"SIGNALBOX_READ_AHEAD": "1"}
    seconds([*pyinfra, *run], **ahead)  # learns
    questions = Record(host, str(Path(deploy).resolve())).load()
    script = "".join(f"sh -c {shlex.quote(each.command)}\n" for each in questions)
    reach = ssh(inventory, host)
    things = {
        "pyinfra --version": lambda: seconds([*pyinfra, "--version"]),
        "ssh HOST true": lambda: seconds([*reach, "true"]),
        f"{len(questions)} facts as one script over ssh": lambda: seconds([*reach, "sh -s"], script),
        "plan, without reading ahead": lambda: seconds([*pyinfra, *run], **without),
        "plan, reading ahead": lambda: seconds([*pyinfra, *run], **ahead),
    }
    taken: dict[str, list[float]] = {name: [] for name in things}
    progress = Console(stderr=True)
    for number in range(rounds):
        progress.print(f"round {number + 1} of {rounds}")
        for name, measure in things.items():
            taken[name].append(measure())
    medians = {name: statistics.median(values) for name, values in taken.items()}
    start, bare, plain = list(medians.values())[:3]
    table = Table("what", "median s", "x (start + ssh)", "x (start + script)", "sessions", box=None)
    counts = {"plan, without reading ahead": sessions(run, **without), "plan, reading ahead": sessions(run, **ahead)}
    for name, value in medians.items():
        count = str(counts.get(name, ""))
        table.add_row(name, f"{value:.2f}", f"{value / (start + bare):.2f}", f"{value / (start + plain):.2f}", count)
    Console().print(table)


if __name__ == "__main__":
    main()

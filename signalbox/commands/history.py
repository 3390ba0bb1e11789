"""`signalbox history`: which deploys were made from this machine."""

from __future__ import annotations

import json
from fnmatch import fnmatch
from typing import Any

import click

from signalbox.applied import state_directory
from signalbox.console import json_option, print_json, print_table


@click.command()
@click.option("--host", "pattern", default="*", metavar="NAME", help="Only hosts of this name or pattern.")
@click.option("-n", "--last", default=20, show_default=True, help="How many lines, the newest last; 0: all.")
@json_option
def history(pattern: str, last: int, as_json: bool) -> None:
    """Show the deploys that were made from this machine: when, to which host, by whom, from which commit, and how.

    Each host has the same lines of all machines in /var/log/signalbox/deploys.jsonl.
    """
    records = [record for record in _records() if fnmatch(str(record.get("host")), pattern)][-last:]
    if as_json:
        print_json(records)
        return
    columns = ["time", "host", "who", "commit", "result", "changes", "seconds", "reason"]
    rows = [
        [str(len(record["changed"]) if name == "changes" else record.get(name, "")) for name in columns]
        for record in records
    ]
    print_table(columns, rows)


def _records() -> list[dict[str, Any]]:
    path = state_directory() / "history.jsonl"
    records = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            records.append(json.loads(line))
        except ValueError:
            continue  # a line that a crash has cut off
    return [record for record in records if isinstance(record, dict)]

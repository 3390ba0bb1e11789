"""`signalbox history`: which deploys were made from this machine."""

from __future__ import annotations

from fnmatch import fnmatch

import click

from signalbox.console import json_option, print_json, print_table
from signalbox.engine.history import Record, read


@click.command()
@click.option("--limit", "--host", "pattern", default="*", metavar="NAME", help="Only hosts of this name or pattern.")
@click.option("-n", "--last", default=20, show_default=True, help="How many lines, the newest last; 0: all.")
@json_option
def history(pattern: str, last: int, as_json: bool) -> None:
    """Show the deploys that were made from this machine: when, to which host, by whom, from which commit, and how.

    Each host has the same lines of all machines in /var/log/signalbox/deploys.jsonl.
    """
    records = [record for record in read() if fnmatch(str(record.get("host")), pattern)][-last:]
    if as_json:
        print_json(records)
        return
    columns = ["time", "host", "who", "commit", "result", "changes", "seconds", "reason"]
    print_table(columns, [[_told(record, name) for name in columns] for record in records])


def _told(record: Record, name: str) -> str:
    """Return what stands in this column; nothing for what a killed run could not leave."""
    if name == "changes":
        return "" if record.get("changed") is None else str(len(record["changed"]))
    return str(record.get(name) if record.get(name) is not None else "")

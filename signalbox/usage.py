"""Usage of a fleet: what `claude-usage --json` tells on each host, asked side by side."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyinfra import host as current
from pyinfra.api import FactBase

from signalbox import deploys
from signalbox.driver import drive
from signalbox.run_as import run_as
from signalbox.shell import Script, sh

_KEPT = "signalbox_usage"
_DEPLOY = Path(deploys.__file__).with_name("usage.py")


@dataclass(frozen=True)
class HostUsage:
    """What one host tells: rows as `launcher.usage.added_up` makes them, or the problem why it tells none."""

    host: str
    rows: list[dict[str, Any]]
    problem: str = ""


class Usage(FactBase[list[dict[str, Any]]]):
    """The rows of claude-usage, as the service user sees them."""

    def command(self, user: str, home: str, days: int) -> Script:
        """Return the command; `days` as claude-usage takes it, 0 for all."""
        return run_as(user, home, sh("/usr/local/bin/claude-usage --json {}", ["--days", str(days)] if days else []))

    default = list

    def process(self, output: list[str]) -> list[dict[str, Any]]:
        """Read the JSON."""
        rows: list[dict[str, Any]] = json.loads("\n".join(output))
        return rows


_days: list[int] = [0]


def ask_host(user: str, home: str, privileges: dict[str, Any]) -> None:
    """Keep what the current host tells."""
    current.connector_data[_KEPT] = current.get_fact(Usage, user=user, home=home, days=_days[0], **privileges)


def usage(inventory: str, selectors: list[str], days: int = 0) -> list[HostUsage]:
    """Ask the hosts of an inventory; every selected host has an answer. Raises RuntimeError for one that is unusable.

    + selectors: pyinfra's own, such as ["--limit", "box1"]. days: only the last so many; 0: all.
    """
    _days[0] = days
    outcome = drive(inventory, str(_DEPLOY), ["--dry", *selectors])
    if outcome.state is None or outcome.error:
        raise RuntimeError(outcome.error or "the run ended before it looked at any host")
    found = []
    for host in outcome.state.inventory:
        if not outcome.state.is_host_in_limit(host):
            continue
        rows = host.connector_data.get(_KEPT)
        words = "; ".join(outcome.errors.get(host.name, ())) or "it was not reached"
        found.append(HostUsage(host.name, rows) if isinstance(rows, list) else HostUsage(host.name, [], words))
    return found
